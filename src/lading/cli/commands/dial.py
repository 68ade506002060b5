"""``lading system dial-stdio``: join standard input and output with the engine's socket."""

from __future__ import annotations

import os
import threading

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.terminal import STDIN, STDOUT

_PIECE = 256 * 1024


def run(arguments: object, client: Client) -> int:
    """Until the engine has no more to say, or nobody takes it."""
    connection = client.dial()
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    while piece := connection.some(_PIECE):
        view = memoryview(piece)
        while view:
            view = view[os.write(STDOUT, view) :]
    return 0


def _send(connection: object) -> None:
    """What comes in, until that ends; the engine is told so."""
    from lading.cli.http import Connection, Lost

    assert isinstance(connection, Connection)
    try:
        while piece := os.read(STDIN, _PIECE):
            connection.send(piece)
    except (OSError, Lost):
        pass  # the other direction tells of it
    connection.end_sending()


COMMANDS = {
    "system dial-stdio": Command(
        run,
        "[OPTIONS]",
        example="lading system dial-stdio",
        detail="For other programs: this is how `ssh://` hosts are reached.",
    )
}
