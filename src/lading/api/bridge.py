"""Join a client's connection with the attach socket of a container's or an exec's monitor.

What comes from the monitor is framed and sent; what comes from the client is cut into
packets.  Each side is read only as fast as the other takes it, so nothing piles up.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass

from lading.api.detach import DetachWatch
from lading.api.hijack import Link
from lading.api.stdcopy import STDERR, STDOUT, frame
from lading.runtime.conmon import MOST_INPUT, MOST_PACKET
from lading.runtime.conmon import STDERR as MONITOR_STDERR
from lading.runtime.conmon import STDOUT as MONITOR_STDOUT

_STREAMS = {MONITOR_STDOUT: STDOUT, MONITOR_STDERR: STDERR}
_PACKETS_AT_ONCE = 16
_MOST_QUEUED = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client wants of the streams."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    raw: bool = False  # a terminal's output is one stream, sent as it is
    detach_keys: bytes | None = None  # None: typing them means nothing

    def wants(self, stream: int) -> bool:
        return self.stdout if stream == STDOUT else self.stderr


class Bridge:
    """One attached client; `ended` is set to why it is over: ``ended``, ``detached``, ``gone``."""

    def __init__(self, connection: Link, wishes: Wishes) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._wishes = wishes
        self._keys = DetachWatch(wishes.detach_keys) if wishes.detach_keys else None
        self._monitor: socket.socket | None = None
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._input_held = False
        self._input_ended = False
        self._held = False
        self.ended: asyncio.Future[str] = self._loop.create_future()
        connection.join(self)

    def connect(self, monitor: socket.socket) -> None:
        """Talk with *monitor*, which is ours from now on."""
        if self.ended.done() or self._monitor is not None:
            monitor.close()
            return
        monitor.setblocking(False)
        self._monitor = monitor
        if not self._held:
            self._loop.add_reader(monitor.fileno(), self._readable)
        self._flush()

    def finish(self, reason: str = "ended") -> None:
        """It is over: let go of the monitor; idempotent."""
        if self._monitor is not None:
            self._loop.remove_reader(self._monitor.fileno())
            self._loop.remove_writer(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None
        if not self.ended.done():
            self.ended.set_result(reason)

    # From the monitor to the client.

    def _readable(self) -> None:
        pieces: list[bytes] = []
        over = False
        for _ in range(_PACKETS_AT_ONCE):
            packet = self._packet()
            if packet is None:
                break
            over = not packet
            if over:
                break
            pieces.append(self._framed(packet))
        if pieces:
            self._connection.transport.write(b"".join(pieces))
        if over:
            self.finish()

    def _packet(self) -> bytes | None:
        """The next packet; empty when there will be none; None when there is none yet."""
        if self._monitor is None or self._held:
            return None
        try:
            return self._monitor.recv(MOST_PACKET)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _framed(self, packet: bytes) -> bytes:
        stream = _STREAMS.get(packet[0], STDOUT)
        if self._wishes.raw:
            return packet[1:] if self._wishes.stdout or self._wishes.stderr else b""
        return frame(stream, packet[1:]) if self._wishes.wants(stream) else b""

    def hold(self) -> None:
        self._held = True
        if self._monitor is not None:
            self._loop.remove_reader(self._monitor.fileno())

    def resume(self) -> None:
        self._held = False
        if self._monitor is not None:
            self._loop.add_reader(self._monitor.fileno(), self._readable)

    # From the client to the monitor.

    def received(self, piece: bytes) -> None:
        if not self._wishes.stdin or self.ended.done():
            return
        detached = False
        if self._keys:
            piece, detached = self._keys.feed(piece)
        if piece:
            self._queue.append(memoryview(piece))
            self._queued += len(piece)
        self._flush()
        if detached:
            self.finish("detached")
        elif self._queued > _MOST_QUEUED and not self._input_held:
            self._input_held = True
            self._connection.transport.pause_reading()

    def input_ended(self) -> None:
        self._input_ended = True
        self._flush()

    def gone(self) -> None:
        self.finish("gone")

    def _flush(self) -> None:
        """Send what the monitor takes; come back when it takes more."""
        if self._monitor is None:
            return
        try:
            self._send_queue(self._monitor)
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._monitor.fileno(), self._flush)
            return
        except OSError:  # it reads no more; what it has written is still to be read
            self._queue.clear()
            self._queued = 0
        self._loop.remove_writer(self._monitor.fileno())
        if self._input_held:
            self._input_held = False
            self._connection.transport.resume_reading()
        if self._input_ended and self._wishes.stdin:
            _shut_input(self._monitor)

    def _send_queue(self, monitor: socket.socket) -> None:
        while self._queue:
            piece = self._queue[0]
            monitor.send(piece[:MOST_INPUT])
            self._queued -= len(piece[:MOST_INPUT])
            if len(piece) > MOST_INPUT:
                self._queue[0] = piece[MOST_INPUT:]
            else:
                self._queue.popleft()


def _shut_input(monitor: socket.socket) -> None:
    try:
        monitor.shutdown(socket.SHUT_WR)
    except OSError:
        pass
