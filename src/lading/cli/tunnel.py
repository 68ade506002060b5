"""A socket here that leads to the engine of another host, through ssh and ``dial-stdio`` there.

Each connection is an ``ssh`` of the user's own, with the user's keys and settings.
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lading.cli.faults import Misuse

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]")
_REMOTE = "lading system dial-stdio"
_WAITING = 16


def command(text: str) -> list[str]:
    """The command that reaches the engine at ``[USER@]HOST[:PORT]``; Misuse.

    Nothing in it can be taken for an option, nor by the shell there for more than a name.
    """
    where, at, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, port = rest, ""
    wrong = (at and not _USER.fullmatch(where)) or not _HOST.fullmatch(host)
    if wrong or (colon and host != rest and not (port.isdigit() and 0 < int(port) < 65536)):
        raise Misuse(f"ssh://[USER@]HOST[:PORT] is wanted, found: ssh://{text}", 1)
    words = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
    words += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
    words += ["-p", port] if port else []
    words += ["-l", where] if at else []
    return [*words, "--", host.strip("[]"), _REMOTE]


@contextmanager
def tunnel(text: str) -> Iterator[str]:
    """The path of a socket that leads there while the context lasts; Misuse."""
    words = command(text)
    with tempfile.TemporaryDirectory(prefix="lading-ssh-") as folder:
        path = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(_WAITING)
            threading.Thread(target=_accept, args=(listener, words), daemon=True).start()
            try:
                yield str(path)
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, words: list[str]) -> None:
    with suppress(OSError):  # it was closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_carry, args=(connection, words), daemon=True).start()


def _carry(connection: socket.socket, words: list[str]) -> None:
    """The socket itself is ssh's input and output: nothing is copied here.

    In a session of its own: Ctrl-C is for the command, which may still need the way.
    """
    ends = connection.fileno()
    with (
        connection,
        subprocess.Popen(words, stdin=ends, stdout=ends, start_new_session=True) as process,
    ):
        process.wait()
