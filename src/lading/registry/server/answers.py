"""What goes back to a client: JSON, and errors with the specification's codes.

The one table that turns errors into statuses and codes lives here.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from lading import __version__, errors
from lading.oci.digest import InvalidDigest
from lading.oci.documents import InvalidDocument
from lading.registry.server.blobs import BlobUnknown
from lading.registry.server.gate import TooManyFailures, Unauthenticated
from lading.registry.server.listings import InvalidPageSize, RepositoryUnknown
from lading.registry.server.manifests import ManifestBlobUnknown, ManifestUnknown
from lading.registry.server.names import InvalidName
from lading.registry.server.quotas import QuotaExceeded
from lading.registry.server.ranges import RangeUnsatisfiable
from lading.registry.server.receiving import BodyTooLarge, BrokenBody, SizeMismatch
from lading.registry.server.uploads import DigestMismatch, UploadBusy, UploadUnknown
from lading.store.blobs import BlobNotFound, DamagedBlob, UnexpectedContent

_LOG = logging.getLogger(__name__)
HEADERS: Mapping[str, str] = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "Server": f"Lading-Registry/{__version__}",
    "X-Content-Type-Options": "nosniff",
}
ANSWERS: Mapping[type[BaseException], tuple[int, str]] = {
    BlobUnknown: (404, "BLOB_UNKNOWN"),
    BlobNotFound: (404, "BLOB_UNKNOWN"),
    DamagedBlob: (404, "BLOB_UNKNOWN"),
    UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    UploadBusy: (409, "BLOB_UPLOAD_INVALID"),
    BrokenBody: (400, "BLOB_UPLOAD_INVALID"),
    SizeMismatch: (400, "SIZE_INVALID"),
    RangeUnsatisfiable: (416, "BLOB_UPLOAD_INVALID"),
    DigestMismatch: (400, "DIGEST_INVALID"),
    UnexpectedContent: (400, "DIGEST_INVALID"),
    InvalidDigest: (400, "DIGEST_INVALID"),
    ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    ManifestBlobUnknown: (404, "MANIFEST_BLOB_UNKNOWN"),
    InvalidDocument: (400, "MANIFEST_INVALID"),
    BodyTooLarge: (413, "SIZE_INVALID"),
    InvalidName: (400, "NAME_INVALID"),
    RepositoryUnknown: (404, "NAME_UNKNOWN"),
    InvalidPageSize: (400, "PAGINATION_NUMBER_INVALID"),
    QuotaExceeded: (403, "DENIED"),
    Unauthenticated: (401, "UNAUTHORIZED"),
    TooManyFailures: (429, "TOOMANYREQUESTS"),
    errors.NotFound: (404, "NAME_UNKNOWN"),
    errors.Denied: (403, "DENIED"),
    errors.Conflict: (409, "DENIED"),
    errors.Invalid: (400, "UNSUPPORTED"),
    errors.Unsupported: (405, "UNSUPPORTED"),
    errors.Unavailable: (503, "UNAVAILABLE"),
    sqlite3.OperationalError: (503, "UNAVAILABLE"),  # a full disk, or another process in the way
}


def encoded(content: Any, media_type: str = "application/json", **headers: str) -> web.Response:
    """*content* as JSON."""
    return web.Response(
        body=msgspec.json.encode(content),
        headers={**HEADERS, **_spelt(headers), "Content-Type": media_type},
    )


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer that is a status and headers."""
    return web.Response(status=status, headers={**HEADERS, **(headers or {})})


def refusal(status: int, code: str, message: str, detail: Any = None) -> web.Response:
    """An error in the specification's shape."""
    error = {"code": code, "message": message}
    if detail is not None:
        error["detail"] = detail
    response = web.Response(
        body=msgspec.json.encode({"errors": [error]}),
        status=status,
        headers={**HEADERS, "Content-Type": "application/json"},
    )
    if status >= 400:
        response.headers["Cache-Control"] = "no-store"
    return response


def failure(error: BaseException) -> web.Response:
    """The answer to a request that failed with *error*."""
    status, code = _answer(error)
    if status == 500:
        _LOG.error("an unexpected error", exc_info=error)
        return refusal(status, "UNKNOWN", "internal error")
    response = refusal(status, code, _printable(str(error)), _detail(error))
    if isinstance(error, RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    elif isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = error.challenge
    elif isinstance(error, TooManyFailures):
        response.headers["Retry-After"] = str(error.seconds)
    return response


def _answer(error: BaseException) -> tuple[int, str]:
    for kind in type(error).__mro__:
        if kind in ANSWERS:
            return ANSWERS[kind]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _LOG.error("the disk is full: %s", error)
        return 507, "UNAVAILABLE"
    return 500, "UNKNOWN"


def _detail(error: BaseException) -> Any:
    if isinstance(error, ManifestBlobUnknown):
        return [{"digest": str(digest)} for digest in error.digests[:100]]
    return None


def _spelt(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _printable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
