"""What is said to a registry and what it answers, as values; how it travels is the wire's."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Protocol, TypeAlias
from urllib.parse import urlsplit

from lading.errors import Unavailable
from lading.oci.documents import MOST_BYTES


class Broken(Unavailable):
    """Raised where a connection ended before the answer did."""


class Body(Protocol):
    """An answer's body as it comes; Broken."""

    def read(self, size: int, /) -> bytes:
        """Some bytes, at most *size*; none at the end."""
        ...

    def close(self) -> None:
        """Read no more of it; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A request's body; *open* gives it from its start each time that it is sent."""

    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, to an absolute URL."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content | None = None

    def with_header(self, name: str, value: str) -> Request:
        return replace(self, headers={**self.headers, name: value})

    def without_header(self, name: str) -> Request:
        kept = {key: value for key, value in self.headers.items() if key.lower() != name.lower()}
        return replace(self, headers=kept)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; *headers* have lower-case names, *url* is the one that answered."""

    status: int
    headers: Mapping[str, str]
    body: Body
    url: str

    def header(self, name: str) -> str:
        """Its value, empty where it is not there."""
        return self.headers.get(name.lower(), "")

    def content(self, most: int = MOST_BYTES) -> bytes:
        """The whole body, at most *most* bytes and one more; it is closed then."""
        pieces, left = [], most + 1
        try:
            while left > 0 and (piece := self.body.read(min(left, 256 * 1024))):
                pieces.append(piece)
                left -= len(piece)
        finally:
            self.body.close()
        return b"".join(pieces)

    def document(self) -> dict[str, Any]:
        """The JSON object that the body is; empty where it is none."""
        try:
            found = json.loads(self.content())
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


Conversation: TypeAlias = Generator[Request, Response, Response]


def origin(url: str) -> str:
    """Scheme and authority, the port always named: what may share a secret."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1  # equals nothing that can be dialled
    number = port if port is not None else {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{number}"
