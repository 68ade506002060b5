"""``GET /containers/{id}/attach/ws``: the same as attach, over a WebSocket.

All output comes in one stream of binary frames, text for clients older than version 1.28;
what the client sends in frames is input.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

from aiohttp import WSMsgType, web

from lading.api import attach
from lading.api.call import Call
from lading.api.hijack import Peer
from lading.api.joining import Joining
from lading.api.router import Route
from lading.api.versions import Version
from lading.errors import Invalid

_BINARY_SINCE = Version(1, 28)
_MOST_QUEUED = 64 * 1024
_MOST_MESSAGE = 1024 * 1024
_PAYLOADS = (WSMsgType.TEXT, WSMsgType.BINARY)


class NoWebSocket(Invalid):
    """Raised for a request that does not ask for one."""

    def __init__(self) -> None:
        super().__init__("attaching here needs a WebSocket handshake")


class _Socket(Protocol):
    async def send_bytes(self, data: bytes) -> None: ...

    async def send_str(self, data: str) -> None: ...


class Link:
    """The client's end of a WebSocket; writes are queued and sent in their order."""

    def __init__(self, socket: _Socket, *, binary: bool) -> None:
        self._socket, self._binary = socket, binary
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queued = 0
        self._held = False
        self._listening = asyncio.Event()
        self._listening.set()
        self._peer: Peer | None = None

    @property
    def transport(self) -> Link:
        return self

    def join(self, peer: Peer) -> None:
        self._peer = peer

    def write(self, piece: bytes) -> None:
        """Send it soon; the peer is asked to wait where too much is on its way."""
        self._queue.put_nowait(piece)
        self._queued += len(piece)
        if self._queued > _MOST_QUEUED and self._peer and not self._held:
            self._held = True
            self._peer.hold()

    async def send(self, piece: bytes) -> None:
        """Send *piece* now."""
        if self._binary:
            await self._socket.send_bytes(piece)
        else:
            await self._socket.send_str(piece.decode(errors="replace"))

    def pause_reading(self) -> None:
        self._listening.clear()

    def resume_reading(self) -> None:
        self._listening.set()

    async def sending(self) -> None:
        """Send what is queued, for ever."""
        while True:
            piece = await self._queue.get()
            await self.send(piece)
            self._queued -= len(piece)
            self._queue.task_done()
            if self._held and self._queued <= _MOST_QUEUED and self._peer:
                self._held = False
                self._peer.resume()

    async def drained(self) -> None:
        """Wait until everything was sent."""
        await self._queue.join()

    async def listening(self, socket: web.WebSocketResponse) -> None:
        """Hand over what the client sends, until it goes."""
        async for message in socket:
            await self._listening.wait()
            if message.type in _PAYLOADS and self._peer:
                piece = message.data
                self._peer.received(piece.encode() if isinstance(piece, str) else piece)
        if self._peer:
            self._peer.gone()


async def attach_ws(call: Call) -> web.StreamResponse:
    container = await call.threads.short(call.engine.containers.get, call.params["id"])
    attach.check_state(container)
    wishes = replace(attach.wishes(call, container), raw=True)
    socket = web.WebSocketResponse(max_msg_size=_MOST_MESSAGE, autoclose=True)
    if not socket.can_prepare(call.request).ok:
        raise NoWebSocket
    stream = call.query.flag("stream")
    with call.endless():
        join = Joining(call.loop)
        cancel = await attach.announce(call, container, join) if stream else attach.nothing
        call.began = True
        await socket.prepare(call.request)
        link = Link(socket, binary=call.version >= _BINARY_SINCE)
        tasks = [asyncio.create_task(each) for each in (link.sending(), link.listening(socket))]
        try:
            await attach.serve(call, container, link, wishes, join if stream else None)
            await _until_sent(link, tasks)
            await socket.close()
        finally:
            cancel()
            join.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return socket


async def _until_sent(link: Link, tasks: list[asyncio.Task[None]]) -> None:
    """What was queued goes out, unless the client has gone."""
    drained = asyncio.create_task(link.drained())
    await asyncio.wait([drained, *tasks], return_when=asyncio.FIRST_COMPLETED)
    drained.cancel()


ROUTES = (Route("GET", "/containers/{id}/attach/ws", attach_ws),)
