"""The headers that name a part of a blob: Range for reading, Content-Range for uploading."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.errors import Invalid

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_CHUNK = re.compile(r"(?:bytes )?(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?")


class RangeUnsatisfiable(Invalid):
    """Raised for a range that the blob, or the upload, does not have."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(f"range {text[:80]!r} cannot be had of {size} bytes")
        self.size = size


@dataclass(frozen=True, slots=True)
class Span:
    """*length* bytes from *start*."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """The last byte's position."""
        return self.start + self.length - 1


def wanted(header: str | None, size: int) -> Span | None:
    """The one range that *header* asks for; None for the whole, as for what it cannot mean.

    RFC 9110 lets a server ignore Range, so several ranges and other units are the whole.
    """
    if header is None or "," in header or not header.startswith("bytes="):
        return None
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if not found or found.groups() == ("", ""):
        raise RangeUnsatisfiable(header, size)
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    if start > end:
        raise RangeUnsatisfiable(header, size)
    return Span(start, end - start + 1)


def chunk(header: str, offset: int, length: int | None) -> Span:
    """The bytes that an upload's chunk says it is; RangeUnsatisfiable unless they come next."""
    found = _CHUNK.fullmatch(header.strip())
    if not found:
        raise RangeUnsatisfiable(header, offset)
    first, last = (int(number) for number in found.groups())
    if first != offset or last < first or length not in (None, last - first + 1):
        raise RangeUnsatisfiable(header, offset)
    return Span(first, last - first + 1)
