"""``lading images``: list images, one line for each name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import FORMAT_HELP, filters
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.rows import Shape, render
from lading.cli.units import local_time, short_id, since, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

NONE = "<none>"
_UNKNOWN = "N/A"


def run(arguments: Arguments, client: Client) -> int:
    """Ask for the list, and show it."""
    wanted = filters(arguments.many("filter"))
    for name in arguments.operands:
        wanted.setdefault("reference", []).append(name)
    form = arguments.text("format")
    digests = arguments.on("digests")
    items = client.get("/images/json", all=arguments.on("all"), filters=wanted)
    rows = named(items, tags=digests or "{{.Digest}}" in form, digests=digests)
    listed = shape(trunc=not arguments.on("no-trunc"), digests=digests)
    print(render(listed, rows, form, quiet="ID" if arguments.on("quiet") else ""), end="")
    return 0


def named(items: Iterable[Item], *, tags: bool = False, digests: bool = False) -> Iterator[Item]:
    """Each image under each of its names: with ``Repository``, ``Tag`` and ``Digest``.

    A tag stands beside the digests of its repository if *tags*; digests without a tag are
    shown each if *digests*.
    """
    for image in items:
        for repository, tag, digest in _names(image, tags=tags, digests=digests):
            yield {**image, "Repository": repository, "Tag": tag, "Digest": digest}


def _names(image: Item, *, tags: bool, digests: bool) -> Iterator[tuple[str, str, str]]:
    by_tag = _grouped(image.get("RepoTags") or (), ":")
    by_digest = _grouped(image.get("RepoDigests") or (), "@")
    if not by_tag and not by_digest:
        yield NONE, NONE, NONE
    for repository, found in by_tag.items():
        beside = by_digest.pop(repository, [])
        for tag in found:
            for digest in beside if tags and beside else [NONE]:
                yield repository, tag, digest
    for repository, found in by_digest.items():
        for digest in found if digests else [""]:
            yield repository, NONE, digest


def _grouped(names: Iterable[str], mark: str) -> dict[str, list[str]]:
    """Tags or digests by repository; the names of what has none are left out."""
    groups: dict[str, list[str]] = {}
    for name in names:
        repository, _, rest = name.rpartition(mark)
        if repository not in ("", NONE):
            groups.setdefault(repository, []).append(rest)
    return groups


def shape(*, trunc: bool = True, digests: bool = False) -> Shape:
    """What ``images`` knows of an image under one of its names."""
    digest = ["Digest"] if digests else []
    return Shape(
        "*formatter.imageContext",
        {
            "ID": ("IMAGE ID", lambda i: short_id(i["Id"]) if trunc else i["Id"]),
            "Repository": ("REPOSITORY", lambda i: i["Repository"]),
            "Tag": ("TAG", lambda i: i["Tag"]),
            "Digest": ("DIGEST", lambda i: i["Digest"]),
            "CreatedSince": ("CREATED", lambda i: since(i["Created"])),
            "CreatedAt": ("CREATED AT", lambda i: local_time(i["Created"])),
            "Size": ("SIZE", lambda i: size(i["Size"], 3)),
            "VirtualSize": ("SIZE", lambda i: size(i["Size"])),
            "Containers": ("CONTAINERS", _containers),
            "SharedSize": ("SHARED SIZE", _shared),
            "UniqueSize": ("UNIQUE SIZE", _unique),
        },
        ["Repository", "Tag", *digest, "ID", "CreatedSince", "Size"],
    )


def _containers(image: Item) -> str:
    count = image.get("Containers", -1)
    return _UNKNOWN if count == -1 else str(count)


def _shared(image: Item) -> str:
    shared = image.get("SharedSize", -1)
    return _UNKNOWN if shared == -1 else size(shared)


def _unique(image: Item) -> str:
    shared = image.get("SharedSize", -1)
    return _UNKNOWN if shared == -1 else size(image["Size"] - shared)


COMMANDS = {
    "images": Command(
        run,
        "[OPTIONS] [REPOSITORY[:TAG]]",
        example="lading images --filter dangling=true\nlading images --digests busybox",
        flags=(
            Flag("all", SWITCH, "Show all images (default hides intermediate images)", short="a"),
            Flag("digests", SWITCH, "Show digests"),
            Flag("filter", LIST, "Filter output based on conditions provided", short="f"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag("no-trunc", SWITCH, "Don't truncate output"),
            Flag("quiet", SWITCH, "Only show image IDs", short="q"),
            Flag("tree", SWITCH, "List multi-platform images as a tree", refused=True),
        ),
        operands=(0, 1),
        complete="images",
    )
}
