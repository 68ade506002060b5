"""Blobs that lie on another machine: read a piece at a time, and checked before they are sent."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.blobs import UnexpectedContent

_LEAST, _MOST = 64 * 1024, 8 * 1024 * 1024
_PIECE = 256 * 1024

Fetch = Callable[[int, int], bytes]
"""The bytes from an offset on, so many as are named, fewer where there are no more."""


class FarBlob(io.RawIOBase):
    """A blob of *size* bytes as a seekable stream; whoever reads on is read ahead for."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size, self._fetch = size, fetch
        self._at, self._begin, self._held = 0, 0, b""
        self._ahead = _LEAST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As many bytes as are wanted, fewer at the end alone."""
        wanted = max(0, self._size - self._at) if size < 0 else size
        pieces = []
        while wanted and (piece := self._piece(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._piece(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _piece(self, wanted: int) -> bytes:
        offset = self._at - self._begin
        if not 0 <= offset < len(self._held):
            if self._at >= self._size:
                return b""
            goes_on = self._held and offset == len(self._held)
            self._ahead = min(_MOST, self._ahead * 2) if goes_on else _LEAST
            length = min(max(wanted, self._ahead), _MOST, self._size - self._at)
            self._held, self._begin, offset = self._fetch(self._at, length), self._at, 0
        piece = self._held[offset : offset + wanted]
        self._at += len(piece)
        return piece


@contextmanager
def checked(stream: BinaryIO, descriptor: Descriptor) -> Iterator[BinaryIO]:
    """*stream*'s bytes as a local, seekable stream at its start; UnexpectedContent."""
    if stream.seekable() and not isinstance(stream, FarBlob):
        begin = stream.tell()
        _hash(stream, descriptor, None)
        stream.seek(begin)
        yield stream
        return
    with TemporaryFile() as kept:
        local = cast(BinaryIO, kept)
        _hash(stream, descriptor, local)
        local.seek(0)
        yield local


def _hash(stream: BinaryIO, descriptor: Descriptor, copy: BinaryIO | None) -> None:
    digest = descriptor.digest
    hashed, size = hashlib.new(digest.algorithm), 0
    while size <= descriptor.size and (piece := stream.read(_PIECE)):
        hashed.update(piece)
        size += len(piece)
        if copy is not None:
            copy.write(piece)
    found = Digest(f"{digest.algorithm}:{hashed.hexdigest()}")
    if found != digest or size != descriptor.size:
        raise UnexpectedContent(digest, found)


class Lent(io.RawIOBase):
    """A stream read from where it stands; closing this leaves it open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        return len(piece)
