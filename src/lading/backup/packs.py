"""Packs: many chunks in one blob, and at its end the directory of them (pure).

A pack is made in memory, sealed or not, and read through any seekable stream.  Chunks are
found by their number in the pack.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard

from lading.backup.sealing import SALT, TAG, Keys, Sealer
from lading.errors import Corrupt

FULL = 16 * 1024 * 1024  # a pack is closed when it has so many bytes
MOST_BYTES = 80 * 1024 * 1024  # what a reader accepts
MOST_CHUNK = 16 * 1024 * 1024
PLAIN, SEALED = b"LADPACK1", b"LADPACS1"
RAW, ZSTD = 0, 1
_ROW = struct.Struct(">32sIIB")  # name, stored bytes, bytes, coding
_LENGTH = struct.Struct(">I")
_LEVEL = 3


class InvalidPack(Corrupt):
    """Raised for a blob that is not a sound pack."""

    def __init__(self, why: str) -> None:
        super().__init__(f"damaged pack: {why}")


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk in a pack's directory."""

    name: bytes
    stored: int
    size: int
    coding: int


@dataclass(frozen=True, slots=True)
class Coded:
    """A chunk ready to be stored."""

    name: bytes
    content: bytes
    size: int
    coding: int


def code(name: bytes, content: bytes, compressor: zstandard.ZstdCompressor) -> Coded:
    """The chunk, compressed where that helps."""
    smaller = compressor.compress(content)
    if len(smaller) < len(content):
        return Coded(name, smaller, len(content), ZSTD)
    return Coded(name, content, len(content), RAW)


def compressor() -> zstandard.ZstdCompressor:
    """One for each thread."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)


class PackWriter:
    """One pack being filled; sealing it is left to `finish`, which another thread may call."""

    def __init__(self, keys: Keys | None, salt: bytes | None = None) -> None:
        self._sealer: Sealer | None = None
        self._head = PLAIN
        if keys is not None:
            salt = secrets.token_bytes(SALT) if salt is None else salt
            self._sealer = keys.sealer("pack", salt)
            self._head = SEALED + salt
        self._chunks: list[Coded] = []
        self.size = len(self._head)

    @property
    def is_empty(self) -> bool:
        return not self._chunks

    def add(self, chunk: Coded) -> int:
        """The chunk's number in the pack."""
        self._chunks.append(chunk)
        self.size += len(chunk.content) + (TAG if self._sealer is not None else 0)
        return len(self._chunks) - 1

    def finish(self) -> bytes:
        """The whole pack; the chunks are let go."""
        pieces, rows = [self._head], []
        for number, chunk in enumerate(self._chunks):
            stored = chunk.content
            if self._sealer is not None:
                stored = self._sealer.seal(number, stored)
            pieces.append(stored)
            rows.append(_ROW.pack(chunk.name, len(stored), chunk.size, chunk.coding))
        self._chunks = []
        directory = b"".join(rows)
        if self._sealer is not None:
            directory = self._sealer.seal(Sealer.last, directory)
        return b"".join((*pieces, directory, _LENGTH.pack(len(directory))))


class PackReader:
    """A pack's chunks by number; *stream* is seekable and stays open as long as this is used."""

    def __init__(
        self, stream: BinaryIO, size: int, keys: Keys | None, namer: Callable[[Any], bytes]
    ) -> None:
        """InvalidPack, NotAuthentic."""
        self._stream, self._keys, self._namer = stream, keys, namer
        self._sealer, self._begin = self._opened()
        self.rows = self._directory(size)
        self._offsets = _offsets(self._begin, self.rows)

    def read(self, number: int) -> bytes:
        """A chunk's bytes, verified; InvalidPack, NotAuthentic."""
        if not 0 <= number < len(self.rows):
            raise InvalidPack(f"it has no chunk {number}")
        row = self.rows[number]
        stored = self._at(self._offsets[number], row.stored)
        if self._sealer is not None:
            stored = self._sealer.open(number, stored, f"chunk {number} of a pack")
        content = _expanded(stored, row)
        if len(content) != row.size or self._namer(content) != row.name:
            raise InvalidPack(f"chunk {number} is not what its name says")
        return content

    def _opened(self) -> tuple[Sealer | None, int]:
        magic = self._at(0, len(PLAIN))
        if magic == PLAIN and self._keys is None:
            return None, len(PLAIN)
        if magic == SEALED and self._keys is not None:
            salt = self._at(len(SEALED), SALT)
            return self._keys.sealer("pack", salt), len(SEALED) + SALT
        raise InvalidPack(f"it begins with {magic!r}")

    def _directory(self, size: int) -> Sequence[Row]:
        (length,) = _LENGTH.unpack(self._at(size - _LENGTH.size, _LENGTH.size))
        at = size - _LENGTH.size - length
        if at < self._begin:
            raise InvalidPack("its directory is longer than it")
        directory = self._at(at, length)
        if self._sealer is not None:
            directory = self._sealer.open(Sealer.last, directory, "the directory of a pack")
        if len(directory) % _ROW.size:
            raise InvalidPack("its directory is cut off")
        rows = [Row(*fields) for fields in _ROW.iter_unpack(directory)]
        least = TAG if self._sealer is not None else 0
        if any(row.size > MOST_CHUNK or row.stored < least for row in rows):
            raise InvalidPack("a chunk's length")
        if self._begin + sum(row.stored for row in rows) != at:
            raise InvalidPack("its chunks do not fill it")
        return rows

    def _at(self, offset: int, length: int) -> bytes:
        if offset < 0:
            raise InvalidPack("it is too short")
        self._stream.seek(offset, os.SEEK_SET)
        found = self._stream.read(length)
        if len(found) != length:
            raise InvalidPack("it is cut off")
        return found


def _offsets(begin: int, rows: Sequence[Row]) -> list[int]:
    found, at = [], begin
    for row in rows:
        found.append(at)
        at += row.stored
    return found


def _expanded(stored: bytes, row: Row) -> bytes:
    if row.coding == RAW:
        return stored
    if row.coding != ZSTD:
        raise InvalidPack(f"coding {row.coding} is not known")
    try:
        if zstandard.frame_content_size(stored) != row.size:
            raise InvalidPack("a chunk's length")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=row.size)
    except zstandard.ZstdError as error:
        raise InvalidPack(str(error)) from None
