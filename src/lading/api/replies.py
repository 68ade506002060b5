"""What goes back to a client: JSON in Docker's shape, with the headers every answer has.

The one table that turns a kind of error into a status lives here.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from lading import __version__, errors
from lading.api.versions import NEWEST

_LOG = logging.getLogger(__name__)
JSON = "application/json"
_FULL = (
    "no space left on device (lading system df shows what takes how much, "
    "lading system prune frees what is not in use)"
)
HEADERS: Mapping[str, str] = {
    "Api-Version": str(NEWEST),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Lading/{__version__} (linux)",
}
STATUS: Mapping[type[errors.LadingError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
    errors.Corrupt: 500,
}


class TooLarge(errors.Invalid):
    """Raised where a request's body is larger than anything sensible."""

    def __init__(self, most: int) -> None:
        super().__init__(f"request body too large: more than {most} bytes")


def json(content: Any, status: int = 200) -> web.Response:
    """*content* as JSON."""
    body = encoded(content)
    return web.Response(body=body, status=status, headers={**HEADERS, "Content-Type": JSON})


def encoded(content: Any) -> bytes:
    """*content* as one line of JSON."""
    return msgspec.json.encode(content) + b"\n"


def empty(status: int = 204) -> web.Response:
    """An answer that is only a status."""
    return web.Response(status=status, headers=HEADERS)


def text(content: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """*content* as plain text."""
    return web.Response(
        body=content.encode(),
        headers={**HEADERS, **(headers or {}), "Content-Type": "text/plain; charset=utf-8"},
    )


def refusal(status: int, message: str) -> web.Response:
    """An error in Docker's shape."""
    return json({"message": message}, status)


def status_of(error: BaseException) -> int:
    """The HTTP status for *error*."""
    if isinstance(error, TooLarge):
        return 413
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return status
    return 500


def message_of(error: BaseException) -> str:
    """What a client is told about *error*; the unexpected is logged with its traceback."""
    if isinstance(error, errors.LadingError):
        return printable(str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _LOG.error("the disk is full: %s", error)
        return _FULL
    _LOG.error("an unexpected error", exc_info=error)
    return printable(f"internal error: {type(error).__name__}: {error}")


def printable(text: str) -> str:
    """*text* without surrogates, which stand for bytes that are not UTF-8 and have no JSON."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def failure(error: BaseException) -> web.Response:
    """The answer to a request that failed with *error*."""
    return refusal(status_of(error), message_of(error))
