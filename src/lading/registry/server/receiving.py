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
    """Append the body to *upload*; BodyTooLarge where the upload grows past *most*."""
    writing: asyncio.Future[None] | None = None
    coming = upload.size
    try:
        async for pieces in _parts(call.request):
            coming += sum(len(piece) for piece in pieces)
            if most is not None and coming > most:
                raise BodyTooLarge(most)
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(call.run(upload.append, pieces))
    finally:
        if writing is not None:
            await _settled(writing)


async def _settled(writing: asyncio.Future[None]) -> None:
    """Wait for the thread even when the request is cancelled: the claim ends after it."""
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


async def _parts(request: web.BaseRequest) -> AsyncIterator[list[bytes]]:
    """The body in parts worth a thread's while."""
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(request):
        pieces.append(piece)
        size += len(piece)
        if size >= _PART:
            yield pieces
            pieces, size = [], 0
    if pieces:
        yield pieces


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
