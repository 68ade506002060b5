"""A response's body as a file that a thread writes, without holding it in memory.

The event loop sends the head; from then on the thread writes chunks straight to the
connection's socket and waits for the client there, so that no byte crosses the loop.
The loop ends the body, or breaks it off.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from aiohttp import web

from lading.api.call import Call
from lading.errors import Unavailable

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE = 256 * 1024
_SEND_BUFFER = 1024 * 1024
_PATIENCE_MS = 600_000  # a client that takes nothing for so long is gone


class ClientStalled(Unavailable):
    """Raised in the writing thread when the client takes nothing any more."""

    def __init__(self) -> None:
        super().__init__("the client stopped reading")


class Outflow(io.RawIOBase):
    """The writing end, for one thread; the head is sent with the first bytes."""

    def __init__(self, begin: Callable[[], int]) -> None:
        self._begin = begin  # sends the head; answers a descriptor that is ours to close
        self._descriptor = -1
        self._small: list[bytes] = []
        self._small_size = 0

    def writable(self) -> bool:
        return True

    def write(self, buffer: Buffer) -> int:
        """Send all of *buffer*, sooner or later; ConnectionError, ClientStalled."""
        view = memoryview(buffer).cast("B")
        if len(view) + self._small_size < _PIECE:
            self._small.append(bytes(view))
            self._small_size += len(view)
            return len(view)
        self.flush()
        self._send_chunk(view)
        return len(view)

    def flush(self) -> None:
        """Send what was kept to be sent together."""
        if self._small:
            joined = b"".join(self._small)
            self._small, self._small_size = [], 0
            self._send_chunk(memoryview(joined))

    def finish(self) -> None:
        """Send what is left, and let go of the socket."""
        try:
            self.flush()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close our descriptor of the socket; what has not been sent by now never will be."""
        self._small, self._small_size = [], 0
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _send_chunk(self, view: memoryview) -> None:
        """One chunk (RFC 9112, 7.1)."""
        if not view:
            return
        if self._descriptor < 0:
            self._descriptor = self._begin()
        self._send([memoryview(b"%x\r\n" % len(view)), view, memoryview(b"\r\n")])

    def _send(self, parts: list[memoryview]) -> None:
        while parts:
            try:
                sent = os.writev(self._descriptor, parts)
            except BlockingIOError:
                self._wait()
                continue
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][sent:]

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(_PATIENCE_MS):
            raise ClientStalled


async def stream_from_thread(
    call: Call,
    write: Callable[[BinaryIO], None],
    content_type: str,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with what *write*, run in a thread, writes.

    Where it fails before its first bytes the error is the answer; later the
    connection is broken off.
    """
    loop = asyncio.get_running_loop()
    responses: list[web.StreamResponse] = []

    async def begin() -> int:
        responses.append(await call.begin(content_type, headers))
        return await _bare_socket(call)

    outflow = Outflow(_from_thread(loop, begin))
    await call.threads.long(_write_all, outflow, write)
    return responses[0] if responses else await call.begin(content_type, headers)


def _from_thread(
    loop: asyncio.AbstractEventLoop, begin: Callable[[], Coroutine[Any, Any, int]]
) -> Callable[[], int]:
    return lambda: asyncio.run_coroutine_threadsafe(begin(), loop).result()


def _write_all(outflow: Outflow, write: Callable[[BinaryIO], None]) -> None:
    try:
        write(cast(BinaryIO, outflow))
        outflow.finish()
    finally:
        outflow.let_go()


async def _bare_socket(call: Call) -> int:
    """A descriptor of the connection's socket, once the loop has nothing left to send."""
    transport = call.request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    while transport.get_write_buffer_size():
        await asyncio.sleep(0.001)
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return os.dup(connection.fileno())
