"""The endpoints of manifests: read, push, remove, and who refers to one."""

from __future__ import annotations

import hashlib

from aiohttp import web

from lading.oci import mediatypes
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES
from lading.registry.server import answers, names, receiving
from lading.registry.server.call import Call
from lading.registry.server.documents import Document
from lading.registry.server.manifests import Entry
from lading.registry.server.uploads import DigestMismatch


async def get(call: Call) -> web.StreamResponse:
    """GET and HEAD of a manifest, by tag or digest, as the bytes it came as."""
    manifests = call.holdings.manifests
    entry = await call.run(manifests.find, call.repository, _reference(call))
    raw = await call.run(manifests.read, entry)
    headers = {
        "Content-Type": entry.media_type,
        "Docker-Content-Digest": str(entry.digest),
        "ETag": f'"{entry.digest}"',
    }
    if call.request.headers.get("If-None-Match") == headers["ETag"]:
        return answers.empty(304, headers)
    return web.Response(body=raw, headers={**answers.HEADERS, **headers})


async def put(call: Call) -> web.StreamResponse:
    """PUT of a manifest, by tag, or by digest with as many tags as the query names."""
    reference = _reference(call)
    tags = [names.tag(text) for text in call.query.get("tag", [])]
    raw = await receiving.whole(call.request, MOST_BYTES)
    digest = _digest(raw, reference)
    document = Document.parse(raw, digest, call.request.headers.get("Content-Type", ""))
    named = [reference] if isinstance(reference, str) else tags
    await call.run(call.holdings.quotas.check, call.repository, call.principal, len(raw))
    await call.run(
        call.holdings.manifests.put, call.repository, document, named, call.principal.name
    )
    call.notes.update(digest=str(digest), tags=",".join(named))
    headers = {
        "Location": f"/v2/{call.repository}/manifests/{digest}",
        "Docker-Content-Digest": str(digest),
    }
    if document.subject is not None:
        headers["OCI-Subject"] = str(document.subject)
    if tags and named == tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return answers.empty(201, headers)


async def delete(call: Call) -> web.StreamResponse:
    """DELETE of a tag alone, or of a manifest with all its tags."""
    reference = _reference(call)
    manifests = call.holdings.manifests
    if isinstance(reference, str):
        await call.run(manifests.untag, call.repository, reference)
    else:
        gone = await call.run(manifests.remove, call.repository, reference)
        call.notes["tags"] = ",".join(gone)
    return answers.empty(202)


async def referrers(call: Call) -> web.StreamResponse:
    """GET of an index of all manifests whose subject is the digest, there or not."""
    wanted = call.asked("artifactType") or ""
    entries = await call.run(
        call.holdings.manifests.referrers, call.repository, call.digest, wanted
    )
    index = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [_descriptor(entry) for entry in entries],
    }
    filters = {"OCI_Filters_Applied": "artifactType"} if wanted else {}
    return answers.encoded(index, mediatypes.OCI_INDEX, **filters)


def _reference(call: Call) -> Digest | str:
    """A digest where there is a colon, which no tag has."""
    text = call.params["reference"]
    return Digest.parse(text) if ":" in text else names.tag(text)


def _digest(raw: bytes, reference: Digest | str) -> Digest:
    """Of *raw*, by the algorithm of the digest that it was pushed as; DigestMismatch."""
    if isinstance(reference, str):
        return Digest.of(raw)
    algorithm = reference.algorithm
    found = Digest(f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}")
    if found != reference:
        raise DigestMismatch(reference, found)
    return found


def _descriptor(entry: Entry) -> dict[str, object]:
    found: dict[str, object] = {
        "mediaType": entry.media_type,
        "digest": str(entry.digest),
        "size": entry.size,
    }
    if entry.artifact_type:
        found["artifactType"] = entry.artifact_type
    if entry.annotations:
        found["annotations"] = dict(entry.annotations)
    return found
