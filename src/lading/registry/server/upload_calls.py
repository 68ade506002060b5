"""The endpoints of uploads: begin, append, ask, end and cancel."""

from __future__ import annotations

from aiohttp import web

from lading.oci.digest import Digest
from lading.registry.server import answers, ranges, receiving
from lading.registry.server.call import Call
from lading.registry.server.quotas import QuotaExceeded
from lading.registry.server.receiving import BodyTooLarge, SizeMismatch
from lading.registry.server.uploads import Upload


async def begin(call: Call) -> web.StreamResponse:
    """POST: mount a blob from elsewhere, take one whole, or open a session."""
    mounted = call.asked("mount")
    if mounted is not None and await _mount(call, Digest.parse(mounted)):
        return _created(call, Digest.parse(mounted))
    whole = call.asked("digest")
    digest = Digest.parse(whole) if whole is not None and mounted is None else None
    uploads = call.holdings.uploads
    upload = await call.run(uploads.begin, call.repository, call.principal.name)
    if digest is None:
        return _accepted(upload, 202)
    try:
        upload.expect(digest)
        await _append(call, upload)
    except BaseException:
        await call.run(uploads.forget, upload)
        raise
    await call.run(uploads.finish, upload, digest)
    return _created(call, digest)


async def status(call: Call) -> web.StreamResponse:
    """GET: how far the upload is."""
    return _accepted(await _find(call), 204)


async def append(call: Call) -> web.StreamResponse:
    """PATCH: the next bytes; with a Content-Range they must be just those."""
    upload = await _find(call)
    with upload.claimed():
        await _append(call, upload)
        await call.run(upload.sync)
    await call.run(call.holdings.uploads.touch, upload)
    return _accepted(upload, 202)


async def finish(call: Call) -> web.StreamResponse:
    """PUT: the last bytes, if any, and the digest of them all."""
    digest = Digest.parse(call.asked("digest"))
    upload = await _find(call)
    with upload.claimed():
        if upload.size == 0:
            upload.expect(digest)
        await _append(call, upload)
        await call.run(call.holdings.uploads.finish, upload, digest)
    return _created(call, digest)


async def cancel(call: Call) -> web.StreamResponse:
    """DELETE: forget the upload."""
    upload = await _find(call)
    with upload.claimed():
        await call.run(call.holdings.uploads.forget, upload)
    return answers.empty(204)


async def _find(call: Call) -> Upload:
    """The session in the path, if it is this repository's and this user's."""
    return await call.run(
        call.holdings.uploads.find, call.params["id"], call.repository, call.principal.name
    )


async def _append(call: Call, upload: Upload) -> None:
    request = call.request
    header = request.headers.get("Content-Range")
    span = ranges.chunk(header, upload.size, request.content_length) if header else None
    left = await call.run(call.holdings.quotas.left, call.repository, call.principal)
    before = upload.size
    try:
        await receiving.into(call, upload, left)
    except BodyTooLarge:
        raise QuotaExceeded(f"repository {call.repository}", left or 0) from None
    if span is not None and upload.size - before != span.length:
        raise SizeMismatch(span.length, upload.size - before)


async def _mount(call: Call, digest: Digest) -> bool:
    """Link the blob from a repository that the caller may read; say nothing of others."""
    source = call.asked("from")
    blobs = call.holdings.blobs
    sources = [source] if source else await call.run(blobs.holders, digest)
    for name in sources:
        if not call.principal.may("pull", name):
            continue
        if await call.run(blobs.mount, digest, name, call.repository, call.principal.name):
            call.notes["from"] = name
            return True
    return False


def _accepted(upload: Upload, status: int) -> web.StreamResponse:
    return answers.empty(
        status,
        {
            "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.id}",
            "Range": f"0-{max(0, upload.size - 1)}",
            "Docker-Upload-UUID": upload.id,
            "Cache-Control": "no-store",
        },
    )


def _created(call: Call, digest: Digest) -> web.StreamResponse:
    call.notes["digest"] = str(digest)
    return answers.empty(
        201,
        {
            "Location": f"/v2/{call.repository}/blobs/{digest}",
            "Docker-Content-Digest": str(digest),
        },
    )
