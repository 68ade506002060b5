"""``lading pull`` and ``lading push``: carry images from and to registries."""

from __future__ import annotations

from lading.cli import sharing
from lading.cli.bars import Bars
from lading.cli.client import Client, documents
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.terminal import STDOUT, is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lading.oci.reference import Reference


def pull(arguments: Arguments, client: Client) -> int:
    """Pull, and say at last what came by its whole name."""
    name, every = _asked(arguments)
    quiet = arguments.on("quiet")
    if not every and not sharing.has_tag(arguments.operands[0]) and not quiet:
        print(f"Using default tag: {name.tag}", flush=True)
    query = {"tag": "" if every else _ending(name), "platform": arguments.text("platform")}
    with Bars(wanted=not quiet and is_terminal(STDOUT)) as bars:
        sharing.pull(client, name, query, bars=bars, quiet=quiet)
    print(name.repository if every else name)
    return 0


def push(arguments: Arguments, client: Client) -> int:
    """Push one tag, or every tag that is here."""
    name, every = _asked(arguments)
    quiet = arguments.on("quiet")
    if name.digest is not None:
        raise Fault("cannot push a digest reference")
    if not every and not sharing.has_tag(arguments.operands[0]) and not quiet:
        print(f"Using default tag: {name.tag}", flush=True)
    path = f"/images/{reference(name.familiar_name)}/push"
    query = {"tag": "" if every else name.tag}
    headers = sharing.headers(name.domain) or {"X-Registry-Auth": "e30="}
    with Bars(wanted=not quiet and is_terminal(STDOUT)) as bars:
        for line in documents(client.ask("POST", path, query, headers=headers)):
            sharing.follow(line, bars, quiet=quiet)
    if quiet:
        print(name.repository if every else name)
    return 0


def _asked(arguments: Arguments) -> tuple[Reference, bool]:
    text, every = arguments.operands[0], arguments.on("all-tags")
    if every and sharing.has_tag(text):
        raise Fault("tag can't be used with --all-tags/-a")
    return sharing.complete(text), every


def _ending(name: Reference) -> str:
    return str(name.digest) if name.digest is not None else name.tag


_TRUST = Flag("disable-content-trust", SWITCH, "Skip image verification", default=True, hidden=True)

COMMANDS = {
    "pull": Command(
        pull,
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        example="lading pull registry.example:5000/web:monday",
        flags=(
            Flag("all-tags", SWITCH, "Download all tagged images in the repository", short="a"),
            Flag("platform", TEXT, "Set platform if the image has several"),
            Flag("quiet", SWITCH, "Suppress verbose output", short="q"),
            _TRUST,
        ),
        operands=(1, 1),
        complete="images",
    ),
    "push": Command(
        push,
        "[OPTIONS] NAME[:TAG]",
        example="lading tag web-backup registry.example:5000/web:monday\n"
        "lading push registry.example:5000/web:monday",
        flags=(
            Flag("all-tags", SWITCH, "Push all tags of an image to the repository", short="a"),
            Flag("platform", TEXT, "Push only the given platform variant", refused=True),
            Flag("quiet", SWITCH, "Suppress verbose output", short="q"),
            _TRUST,
        ),
        operands=(1, 1),
        complete="images",
    ),
}
