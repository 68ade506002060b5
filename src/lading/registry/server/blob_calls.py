"""The endpoints of blobs: read, look, remove."""

from __future__ import annotations

import os

from aiohttp import web

from lading.registry.server import answers, ranges
from lading.registry.server.call import Call
from lading.registry.server.ranges import Span
from lading.registry.server.sending import send


async def get(call: Call) -> web.StreamResponse:
    """GET and HEAD of a blob, whole or a range of it."""
    digest = call.digest
    file = await call.run(call.holdings.blobs.open, call.repository, digest)
    with file:
        if call.principal.may("push", call.repository):
            await call.run(call.holdings.blobs.seen, call.repository, digest)
        size = os.fstat(file.fileno()).st_size
        is_head = call.request.method == "HEAD"
        header = None if is_head else call.request.headers.get("Range")
        span = ranges.wanted(header, size)
        response = web.StreamResponse(status=206 if span else 200, headers=answers.HEADERS)
        response.headers.update(
            {
                "Content-Type": "application/octet-stream",
                "Docker-Content-Digest": str(digest),
                "ETag": f'"{digest}"',
                "Accept-Ranges": "bytes",
                "Cache-Control": "private, max-age=0, must-revalidate",
            }
        )
        if span:
            response.headers["Content-Range"] = f"bytes {span.start}-{span.last}/{size}"
        return await send(call.request, file, span or Span(0, size), response)


async def delete(call: Call) -> web.StreamResponse:
    """DELETE of a blob from this repository."""
    await call.run(call.holdings.blobs.remove, call.repository, call.digest)
    return answers.empty(202, {"Docker-Content-Digest": str(call.digest)})
