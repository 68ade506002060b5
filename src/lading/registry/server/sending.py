"""Send a file to a client, by the kernel where it can: sendfile(2)."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from aiohttp import web

from lading.registry.server.ranges import Span


async def send(
    request: web.BaseRequest, file: BinaryIO, span: Span, response: web.StreamResponse
) -> web.StreamResponse:
    """Answer with *span* of *file*; a client that goes away meanwhile is a ConnectionError."""
    response.content_length = span.length
    writer = await response.prepare(request)
    if request.method == "HEAD" or span.length == 0 or writer is None:
        await response.write_eof()
        return response
    writer.send_headers()
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    loop = asyncio.get_running_loop()
    sent = await loop.sendfile(transport, file, span.start, span.length)
    if sent != span.length:  # the file is shorter: only a broken connection can tell
        transport.close()
        raise ConnectionResetError("the file ended early")
    await response.write_eof()
    return response
