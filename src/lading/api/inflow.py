"""A request's body as a file that a thread reads, without holding it in memory.

The event loop fills a small buffer and stops reading from the client while it is
full; the thread waits while it is empty.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from aiohttp.web import BaseRequest

from lading.errors import Unavailable

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LOG = logging.getLogger(__name__)
_FULL = 4 * 1024 * 1024
_LOW = 1024 * 1024


class ClientGone(Unavailable):
    """Raised in the reading thread when the body will never be complete."""

    def __init__(self) -> None:
        super().__init__("the client went away before its request was complete")


class Inflow(io.RawIOBase):
    """The reading end, for one thread; `feed`, `finish` and `fail` are the event loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pieces: deque[memoryview] = deque()
        self._held = 0
        self._ended = False
        self._failed = False
        self._change = threading.Condition()
        self._room = asyncio.Event()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Exactly *size* bytes, fewer only at the end; all that is left for -1; ClientGone."""
        wanted = sys.maxsize if size is None or size < 0 else size
        parts: list[memoryview] = []
        while wanted and (part := self._next(wanted)):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Buffer) -> int:
        """Some bytes, as they come; 0 at the end; ClientGone."""
        target = memoryview(buffer).cast("B")
        part = self._next(len(target))
        target[: len(part)] = part
        return len(part)

    def _next(self, most: int) -> memoryview:
        """Up to *most* bytes of the first piece, waiting for one; nothing at the end."""
        with self._change:
            self._change.wait_for(lambda: self._pieces or self._ended)
            if not self._pieces:
                if self._failed:
                    raise ClientGone
                return memoryview(b"")
            piece = self._pieces.popleft()
            if len(piece) > most:
                self._pieces.appendleft(piece[most:])
                piece = piece[:most]
            self._give_room(len(piece))
        return piece

    def _give_room(self, taken: int) -> None:
        was_full = self._held > _LOW
        self._held -= taken
        if was_full and self._held <= _LOW:
            self._loop.call_soon_threadsafe(self._room.set)

    async def feed(self, piece: bytes) -> None:
        """Hand *piece* to the thread; waits while it has enough."""
        with self._change:
            self._pieces.append(memoryview(piece))
            self._held += len(piece)
            full = self._held >= _FULL
            if full:
                self._room.clear()
            self._change.notify()
        if full:
            await self._room.wait()

    def finish(self, *, failed: bool = False) -> None:
        """No more will come; *failed* when some is missing."""
        with self._change:
            self._failed = self._failed or (failed and not self._ended)
            self._ended = True
            self._change.notify()


@asynccontextmanager
async def body_of(request: BaseRequest) -> AsyncIterator[BinaryIO]:
    """The body of *request* as a file for a thread, filled while the context lasts."""
    inflow = Inflow(asyncio.get_running_loop())
    pump = asyncio.ensure_future(_pump(request, inflow))
    try:
        yield cast(BinaryIO, inflow)
    finally:
        pump.cancel()
        inflow.finish(failed=True)


async def _pump(request: BaseRequest, inflow: Inflow) -> None:
    failed = True
    try:
        while piece := await request.content.readany():
            await inflow.feed(piece)
        failed = False
    except Exception as error:
        _LOG.debug("a request's body broke off: %s", error)
    finally:
        inflow.finish(failed=failed)
