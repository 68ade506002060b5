"""Carry bytes between the user and a container until one of them is done.

One loop, both directions at once: neither side can make the other wait for ever.
"""

from __future__ import annotations

import os
import select
from _socket import MSG_DONTWAIT

from lading.cli.demux import Demux
from lading.cli.detach_keys import DetachKeys
from lading.cli.http import Connection, Lost

_PIECE = 256 * 1024
_MOST_PENDING = 1024 * 1024  # typed and not yet taken by the engine
_READY = select.POLLIN | select.POLLHUP | select.POLLERR


class Pump:
    """A conversation over an upgraded connection.

    *stdin* is the descriptor to read, or None; *stdout* and *stderr* say where output goes,
    None to drop it.  Without *demux* the stream is the terminal's own, and goes to stdout.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        stdin: int | None,
        stdout: int | None = 1,
        stderr: int | None = 2,
        demux: Demux | None = None,
        keys: DetachKeys | None = None,
    ) -> None:
        self._connection = connection
        self._stdin = stdin
        self._outputs = {1: stdout, 2: stderr}
        self._demux = demux
        self._keys = keys
        self._pending = bytearray()
        self._detached = False

    def run(self, *, until_input_ends: bool = False) -> bool:
        """Carry on until the output ends; True when the user detached before.

        With *until_input_ends* the end of the input is enough.
        """
        self._show(self._connection.rest())
        taking = True
        while taking and not self._detached:
            if until_input_ends and self._stdin is None and not self._pending:
                break
            taking = self._turn()
        return self._detached

    def _turn(self) -> bool:
        """Wait for something to do and do it; False when the output has ended."""
        poll = select.poll()
        wanted = select.POLLIN | (select.POLLOUT if self._pending else 0)
        poll.register(self._connection.fileno(), wanted)
        if self._stdin is not None and len(self._pending) < _MOST_PENDING:
            poll.register(self._stdin, select.POLLIN)
        events = dict(poll.poll())
        if self._stdin is not None and events.get(self._stdin, 0) & (_READY | select.POLLNVAL):
            self._take(self._stdin)
        happened = events.get(self._connection.fileno(), 0)
        if happened & select.POLLOUT:
            self._push()
        return self._receive() if happened & _READY else True

    def _take(self, stdin: int) -> None:
        """Read what the user typed."""
        try:
            typed = os.read(stdin, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            typed = b""  # a closed descriptor or a terminal that hung up: the input's end
        if not typed:
            self._stdin = None
            if not self._pending:
                self._connection.end_sending()
            return
        if self._keys is not None:
            typed, self._detached = self._keys.feed(typed)
        self._pending += typed
        self._push()

    def _push(self) -> None:
        """Send what is pending, as far as the engine takes it now."""
        while self._pending:
            try:
                sent = self._connection.socket.send(self._pending[:_PIECE], MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self._pending.clear()  # it listens no more; what it still says comes first
                self._stdin = None
                return
            del self._pending[:sent]
        if self._stdin is None:
            self._connection.end_sending()

    def _receive(self) -> bool:
        try:
            data = self._connection.some(_PIECE)
        except Lost:
            return False
        self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        pieces = self._demux.feed(data) if self._demux else [(1, data)]
        for kind, piece in pieces:
            descriptor = self._outputs[kind]
            if descriptor is not None and piece:
                write(descriptor, piece)


def write(descriptor: int, data: bytes) -> None:
    """Write all of *data*, also where the descriptor does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
