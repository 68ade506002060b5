"""``lading image bootstrap``: make a base image without any registry."""

from __future__ import annotations

from lading.cli.bars import Bars
from lading.cli.client import Client, documents
from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.terminal import STDERR, is_terminal

_KINDS = ("busybox", "debian")


def run(arguments: Arguments, client: Client) -> int:
    """Make it, and print what it is called."""
    kind, suite = [*arguments.operands, ""][:2]
    if kind not in _KINDS:
        raise Misuse(f"no such kind of base image: {kind!r}: {' or '.join(_KINDS)}", 1)
    if suite and kind != "debian":
        raise Misuse("only debian has suites", 1)
    query = {"kind": kind, "suite": suite, "tag": arguments.text("tag")}
    wanted = is_terminal(STDERR) and not arguments.on("quiet")
    made: dict[str, str] = {}
    with Bars(wanted=wanted, stderr=True) as bars:
        for line in documents(client.ask("POST", "/lading/v1/images/bootstrap", query)):
            bars.show(line)
            made = line.get("aux") or made
    print(made.get("Tag") or made.get("ID", ""))
    return 0


COMMANDS = {
    "image bootstrap": Command(
        run,
        "[OPTIONS] busybox|debian [SUITE]",
        example="lading image bootstrap busybox\nlading image bootstrap debian bookworm -t base:12",
        detail=(
            "busybox is packed from this host's own program (package busybox-static); debian is\n"
            "made by mmdebstrap from Debian's archive, of this host's suite unless one is named."
        ),
        flags=(
            Flag("quiet", SWITCH, "Show no progress", short="q"),
            Flag("tag", TEXT, "Name of the image (default busybox:latest, debian:SUITE)",
                 short="t"),
        ),
        operands=(1, 2),
        complete="bases",
    )
}  # fmt: skip
