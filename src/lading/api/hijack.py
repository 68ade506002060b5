"""Take a connection over from HTTP, as attach and exec do.

After the head of the answer both sides send what they like (Engine API, ContainerAttach,
"Hijacking").  aiohttp parses no more: `Connection` is the transport's protocol from then on.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from lading.api.call import Call
from lading.api.stdcopy import MULTIPLEXED, RAW
from lading.api.versions import Version

_MOST_EARLY = 64 * 1024
_HANGUP_SECONDS = 1.0  # between two looks at whether a client that sends no more is still there
_MULTIPLEXED_SINCE = Version(1, 42)


class Peer(Protocol):
    """Who talks with the client; every method is called in the event loop."""

    def received(self, piece: bytes) -> None:
        """The client sent *piece*."""
        ...

    def input_ended(self) -> None:
        """The client will send no more, but still listens."""
        ...

    def gone(self) -> None:
        """The connection is closed."""
        ...

    def hold(self) -> None:
        """The client takes less than it is sent."""
        ...

    def resume(self) -> None:
        """The client has caught up."""
        ...


class Pipe(Protocol):
    """The wire to the client: an `asyncio.Transport`, or what does as much."""

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Link(Protocol):
    """A client that streams can be joined with."""

    @property
    def transport(self) -> Pipe: ...

    def join(self, peer: Peer) -> None: ...

    async def send(self, piece: bytes) -> None: ...


class Connection(asyncio.Protocol):
    """The client's end of a connection that HTTP has left."""

    def __init__(self, transport: asyncio.Transport, former: asyncio.Protocol) -> None:
        self.transport = transport
        self._former = former
        self._peer: Peer | None = None
        self._early: list[bytes] = []
        self._early_size = 0
        self._input_ended = False
        self._lost = False
        self._writable = asyncio.Event()
        self._writable.set()

    async def send(self, piece: bytes) -> None:
        """Send *piece* once the client has room for it; ConnectionError when it is gone."""
        await self._writable.wait()
        if self._lost or self.transport.is_closing():
            raise ConnectionResetError("the client went away")
        self.transport.write(piece)

    def join(self, peer: Peer) -> None:
        """Talk with *peer* from now on; what came early is handed over first."""
        self._peer = peer
        if self._early_size >= _MOST_EARLY:
            self.transport.resume_reading()
        for piece in self._early:
            peer.received(piece)
        self._early.clear()
        if self._input_ended:
            peer.input_ended()
        if self._lost:
            peer.gone()

    def data_received(self, data: bytes) -> None:
        if self._peer:
            self._peer.received(data)
            return
        self._early.append(data)
        self._early_size += len(data)
        if self._early_size >= _MOST_EARLY:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has shut down its half; the other half stays open."""
        self._input_ended = True
        if self._peer:
            self._peer.input_ended()
        self._look_for_hangup()
        return True

    def _look_for_hangup(self) -> None:
        """Nothing is read any more, so poll(2) must tell who listens from who left."""
        if self._lost or self.transport.is_closing():
            return
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket"), 0)
        if poll.poll(0):
            self.transport.abort()
        else:
            asyncio.get_running_loop().call_later(_HANGUP_SECONDS, self._look_for_hangup)

    def pause_writing(self) -> None:
        self._writable.clear()
        if self._peer:
            self._peer.hold()

    def resume_writing(self) -> None:
        self._writable.set()
        if self._peer:
            self._peer.resume()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = True
        self._writable.set()
        if self._peer:
            self._peer.gone()
        self._former.connection_lost(exc if isinstance(exc, Exception) else None)


class TakenOver(web.StreamResponse):
    """Tells aiohttp that the answer has been given elsewhere, and to close the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None


def hold_input(call: Call) -> None:
    """Leave what the client sends after its request in the kernel, until `take_over`."""
    transport = call.request.transport
    if isinstance(transport, asyncio.Transport) and transport.is_reading():
        transport.pause_reading()


def take_over(call: Call, *, multiplexed: bool) -> Connection:
    """Send the head of the answer and take the connection; ConnectionError when it is gone.

    The request's body must have been read.  The handler then answers `TakenOver`, once
    it is done with the connection.
    """
    transport = call.request.transport
    if not isinstance(transport, asyncio.Transport) or transport.is_closing():
        raise ConnectionResetError("the client went away")
    call.began = True
    connection = Connection(transport, call.request.protocol)
    transport.set_protocol(connection)
    transport.write(_head(call, multiplexed=multiplexed))
    transport.resume_reading()
    return connection


def _head(call: Call, *, multiplexed: bool) -> bytes:
    if "Upgrade" not in call.request.headers:
        return f"HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n\r\n".encode()
    kind = MULTIPLEXED if multiplexed and call.version >= _MULTIPLEXED_SINCE else RAW
    return (
        f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    ).encode()
