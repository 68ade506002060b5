"""``lading save``: write images to an archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lading.cli import wholefile
from lading.cli.bars import Advance, Bars
from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault
from lading.cli.flags import TEXT, Arguments, Flag
from lading.cli.pump import write as write_all
from lading.cli.terminal import STDERR, STDOUT, is_terminal


def run(arguments: Arguments, client: Client) -> int:
    """Write the archive to the file, or to standard output."""
    path = arguments.text("output")
    if path:
        wholefile.check(path)
    elif is_terminal(STDOUT):
        raise Fault("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    pieces = client.ask("GET", "/images/get", {"names": arguments.operands}).pieces()
    if not path:
        for piece in pieces:
            write_all(STDOUT, piece)
        return 0
    with Bars(wanted=is_terminal(STDERR), stderr=True) as bars:
        wholefile.write(path, _counted(pieces, bars.counting("Saving")))
    return 0


def _counted(pieces: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    for piece in pieces:
        advance(len(piece))
        yield piece


COMMANDS = {
    "save": Command(
        run,
        "[OPTIONS] IMAGE [IMAGE...]",
        example="lading save -o backup.tar web-backup\nlading save web | ssh host lading load",
        detail=(
            "The archive is read by Docker and by OCI tools.  A file is written beside its place\n"
            "and takes it when it is whole, so that a failed save leaves no half archive."
        ),
        flags=(
            Flag("output", TEXT, "Write to a file, instead of STDOUT", short="o", values="files"),
            Flag("platform", TEXT, "Save only the given platform variant", refused=True),
        ),
        operands=(1, ANY),
        complete="images",
    )
}
