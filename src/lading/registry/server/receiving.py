"""The bodies of requests: whole and small, or streamed to a disk while they come.

What is in memory at any time is bounded: one part is written and hashed in a thread while
the next one comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lading.errors import Invalid, Unavailable
from lading.registry.server.call import Call
from lading.registry.server.uploads import Upload

_PART = 1024 * 1024
_PATIENCE = 120.0  # seconds without a byte after which a body counts as broken off


class BodyTooLarge(Invalid):
    """Raised for a body that is larger than what it may be."""

    def __init__(self, most: int) -> None:
        super().__init__(f"request body too large: more than {most} bytes")


class BrokenBody(Unavailable):
    """Raised where a body ended before its end; what came is kept."""

    def __init__(self) -> None:
        super().__init__("the request body broke off")


class SizeMismatch(Invalid):
    """Raised where a body has not the length that its headers say."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            f"provided length did not match content length: expected {expected}, found {found}"
        )


async def whole(request: web.BaseRequest, most: int) -> bytes:
    """The body in memory; BodyTooLarge past *most*, before it is read where its length is told."""
    if (request.content_length or 0) > most:
        raise BodyTooLarge(most)
    parts, size = [], 0
    async for piece in _pieces(request):
        size += len(piece)
        if size > most:
            raise BodyTooLarge(most)
        parts.append(piece)
    return b"".join(parts)


async def into(call: Call, upload: Upload, most: int | None = None) -> None:
    """Append the body to *upload*; BodyTooLarge where the upload grows past *most*.

    What came before the body broke off, or the client went, is kept.
    """
    sink = _Sink(call, upload, most)
    try:
        async for piece in _pieces(call.request):
            await sink.take(piece)
    finally:
        await sink.settle()


class _Sink:
    """Gathers pieces into parts worth a thread's while, and writes one while the next comes."""

    def __init__(self, call: Call, upload: Upload, most: int | None) -> None:
        self._call, self._upload, self._most = call, upload, most
        self._coming = upload.size
        self._pieces: list[bytes] = []
        self._size = 0
        self._writing: asyncio.Future[None] | None = None

    async def take(self, piece: bytes) -> None:
        self._coming += len(piece)
        if self._most is not None and self._coming > self._most:
            raise BodyTooLarge(self._most)
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _PART:
            await self._write()

    async def settle(self) -> None:
        """Have everything written, also when the request is cancelled meanwhile."""
        settling = asyncio.ensure_future(self._finish())
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await asyncio.wait([settling])
            raise

    async def _finish(self) -> None:
        if self._pieces:
            await self._write()
        await self._written()

    async def _write(self) -> None:
        await self._written()
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._writing = asyncio.ensure_future(self._call.run(self._upload.append, pieces))

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # a cancelled request waits in `settle`
            self._writing = None


async def _pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(_PATIENCE):
                piece = await request.content.readany()
        except (TimeoutError, HttpProcessingError, ConnectionError, web.RequestPayloadError):
            raise BrokenBody from None
        if not piece:
            return
        yield piece
