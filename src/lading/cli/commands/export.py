"""``lading export``: a container's file system as a tar."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import TEXT, Arguments, Flag
from lading.cli.pump import write
from lading.cli.references import reference
from lading.cli.terminal import STDOUT, is_terminal

_REFUSED = "cowardly refusing to save to a terminal. Use the -o flag or redirect"


def run(arguments: Arguments, client: Client) -> int:
    """Write the archive to the file asked for, or to stdout, never to a terminal."""
    path = arguments.text("output")
    _check(path)
    answer = client.ask("GET", f"/containers/{reference(arguments.operands[0])}/export")
    if path:
        from lading.cli import wholefile

        wholefile.write(path, answer.pieces())
        return 0
    for piece in answer.pieces():
        write(STDOUT, piece)
    return 0


def _check(path: str) -> None:
    """Before the engine is asked."""
    if not path:
        if is_terminal(STDOUT):
            raise Fault(f"failed to export container: {_REFUSED}")
        return
    from lading.cli import wholefile

    try:
        wholefile.check(path)
    except Fault as fault:
        raise Fault(f"failed to export container: {fault}") from None


COMMANDS = {
    "export": Command(
        run,
        "[OPTIONS] CONTAINER",
        example="lading export -o web.tar web\nlading export web | tar -t",
        flags=(
            Flag("output", TEXT, "Write to a file, instead of STDOUT", short="o", values="files"),
        ),
        operands=(1, 1),
        complete="containers",
    )
}
