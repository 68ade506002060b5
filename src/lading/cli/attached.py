"""Talk with a container's process: its streams, the terminal, and how it ended."""

from __future__ import annotations

import time

from lading.cli.client import Client, quote
from lading.cli.demux import Demux
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import Fault, Refused
from lading.cli.http import Connection, Response
from lading.cli.pump import Pump
from lading.cli.terminal import STDERR, STDIN, STDOUT, Raw, Resizing

_RESIZE_TRIES = 10
DETACHED = "read escape sequence"


class Streams:
    """Which streams are wanted, and whether they are a terminal's."""

    __slots__ = ("stderr", "stdin", "stdout", "tty")

    def __init__(self, *, stdin: bool, stdout: bool = True, stderr: bool = True, tty: bool) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty

    @property
    def shown(self) -> bool:
        """Whether any output is wanted."""
        return self.stdout or self.stderr


def attach(client: Client, container: str, streams: Streams, keys: str) -> Connection:
    """A connection to the container's streams; nothing of its output from now on is missed."""
    query = {
        "stream": True,
        "stdin": streams.stdin,
        "stdout": streams.stdout,
        "stderr": streams.stderr,
        "detachKeys": keys,
    }
    return client.upgrade(f"/containers/{quote(container)}/attach", query)


def talk(connection: Connection, streams: Streams, keys: str) -> bool:
    """Carry the streams until the output ends (the input, where no output is wanted).

    True when the user left with the detach keys.
    """
    watched = DetachKeys.parse(keys) if streams.tty and streams.stdin else None
    pump = Pump(
        connection,
        stdin=STDIN if streams.stdin else None,
        stdout=STDOUT if streams.stdout or streams.tty else None,
        stderr=STDERR if streams.stderr else None,
        demux=None if streams.tty else Demux(),
        keys=watched,
    )
    try:
        with Raw(wanted=streams.tty and streams.stdin):
            return pump.run(until_input_ends=not streams.shown)
    finally:
        connection.close()


def resizing(client: Client, path: str, *, wanted: bool) -> Resizing:
    """Keep the size of the terminal behind *path* (a container or an exec) like the user's."""

    def report(rows: int, columns: int) -> None:
        for attempt in range(_RESIZE_TRIES):
            try:
                client.post(f"{path}/resize", h=rows, w=columns)
                return
            except Refused:
                time.sleep(0.01 * attempt)  # its terminal is not there yet

    return Resizing(report, wanted=wanted)


def waiting(client: Client, container: str, condition: str) -> Response:
    """Begin to wait; `exit_code` takes the answer.  The engine watches when this returns."""
    path = f"/containers/{quote(container)}/wait"
    return client.ask("POST", path, {"condition": condition})


def exit_code(waited: Response) -> int:
    """How the container ended; Fault where the engine could not tell."""
    from lading.cli.client import decoded

    answer = decoded(waited.read())
    error = (answer.get("Error") or {}).get("Message")
    if error:
        raise Fault(error, 125)
    return int(answer["StatusCode"])


def start_failure(error: Refused) -> Fault:
    """The exit code Docker gives a start that failed: 127, 126 or 125."""
    message = str(error)
    if "executable file not found" in message or "no such file or directory" in message:
        return Fault(message, 127)
    if "permission denied" in message or "is a directory" in message:
        return Fault(message, 126)
    return Fault(message, 125)
