"""Requests with a JSON body: strict about type, size and shape, in Docker's words."""

from __future__ import annotations

from typing import TypeVar

from aiohttp.web import BaseRequest

from lading.api.replies import JSON, TooLarge
from lading.container.options import decode
from lading.errors import Invalid

T = TypeVar("T")
MOST_BYTES = 4 * 1024 * 1024


class InvalidBody(Invalid):
    """Raised for a body that is not the JSON that was wanted."""


class EmptyBody(InvalidBody):
    """Raised where a body was wanted and none came."""

    def __init__(self) -> None:
        super().__init__("invalid JSON: got EOF while reading request body")


async def read_json(request: BaseRequest, kind: type[T], *, default: T | None = None) -> T:
    """The body as a *kind*; *default* where the body is empty or ``null``.

    Raises Invalid (EmptyBody, InvalidBody) and TooLarge.
    """
    content = await read(request)
    _check_type(request, content)
    if not content.strip() or content.strip() == b"null":
        if default is None:
            raise EmptyBody
        return default
    return decode(content, kind)


async def read(request: BaseRequest, most: int = MOST_BYTES) -> bytes:
    """The whole body; TooLarge when it has more than *most* bytes."""
    if (request.content_length or 0) > most:
        raise TooLarge(most)
    content = bytearray()
    while piece := await request.content.readany():
        content += piece
        if len(content) > most:
            raise TooLarge(most)
    return bytes(content)


def _check_type(request: BaseRequest, content: bytes) -> None:
    given = request.headers.get("Content-Type", "")
    if not given and not content:
        return
    if request.content_type.lower() != JSON or not given:
        raise InvalidBody(f"unsupported Content-Type header ({given[:80]}): must be '{JSON}'")
