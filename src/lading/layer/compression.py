"""Compressed streams, in both directions, within this process and within limits.

What a stream is compressed with is seen from its first bytes, never from its name.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

import zstandard
from isal import igzip_lib, isal_zlib

from lading.errors import Invalid

_PIECE = 128 * 1024  # larger pieces leave the processor's cache
_MAGIC = (
    ("gzip", b"\x1f\x8b"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("xz", b"\xfd7zXZ\x00"),
    ("bzip2", b"BZh"),
)
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))
_GZIP_LEVEL = 2  # of ISA-L: thirteen times faster than zlib's 6 for 3.5 % more bytes
_ZSTD_LEVEL = 3
_ZSTD_SIP = 2048  # four bytes can become 128 kB, and all of it comes out at once


class InvalidCompression(Invalid):
    """Raised for a compressed stream that is damaged, cut off or out of bounds."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"invalid {kind} stream: {why}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a compressed stream may cost."""

    size: int = 1 << 41  # bytes that come out
    ratio: int = 500  # bytes out for each byte in, once `free` bytes are out; gzip can do 1032
    free: int = 1 << 30
    window: int = 1 << 28  # zstd's window and xz's dictionary, in bytes


DEFAULT_LIMITS = Limits()


class Compressor(Protocol):
    """Turns pieces into compressed pieces."""

    def compress(self, piece: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def detect(head: bytes) -> str:
    """``none``, ``gzip``, ``zstd``, ``xz`` or ``bzip2``, from the first bytes of a stream."""
    if head[:4] in _SKIPPABLE:
        return "zstd"
    return next((kind for kind, magic in _MAGIC if head.startswith(magic)), "none")


def decompress(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> BinaryIO:
    """What *stream* holds, whatever it is compressed with; an uncompressed one as it is.

    Concatenated members count as one stream; zeros after the last one are ignored.  Reading
    raises InvalidCompression.  The whole of *stream* has been read when the end is reached.
    """
    head = stream.read(6)
    kind = detect(head)
    whole = _Prefixed(head, stream)
    if kind == "none":
        return cast(BinaryIO, io.BufferedReader(whole, _PIECE))
    return cast(BinaryIO, io.BufferedReader(_Expanded(whole, kind, limits), _PIECE))


def compressor(kind: str, level: int | None = None) -> Compressor:
    """A compressor for ``gzip`` or ``zstd`` whose output depends on its input alone."""
    if kind == "gzip":
        return cast(Compressor, _gzip(_GZIP_LEVEL if level is None else level))
    if kind == "zstd":
        level = _ZSTD_LEVEL if level is None else level
        return zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    raise InvalidCompression(kind, "this kind cannot be written")


def _gzip(level: int) -> Any:
    # zlib's header for gzip has neither name nor time: equal input, equal bytes.
    return isal_zlib.compressobj(level, isal_zlib.DEFLATED, 16 + zlib.MAX_WBITS)


class _Prefixed(io.RawIOBase):
    """A stream with the bytes put back that were looked at."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._head[: len(view)] or self._stream.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(piece)] = piece
        return len(piece)


class _Member(Protocol):
    """One member of a compressed stream, being expanded."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, piece: bytes, /) -> bytes: ...


class _Zstd:
    """zstandard's expander in the shape of the others."""

    def __init__(self, window: int) -> None:
        self._expand = zstandard.ZstdDecompressor(max_window_size=window).decompressobj()

    @property
    def eof(self) -> bool:
        return self._expand.eof

    @property
    def unused_data(self) -> bytes:
        return self._expand.unused_data

    def decompress(self, piece: bytes) -> bytes:
        return self._expand.decompress(piece)


def _member(kind: str, limits: Limits) -> _Member:
    if kind == "gzip":
        gzip = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        return cast(_Member, gzip)
    if kind == "zstd":
        return _Zstd(limits.window)
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.window + (1 << 20))
    return bz2.BZ2Decompressor()


_FAILURES = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
    cast(type[Exception], igzip_lib.IsalError),  # which is no zlib.error
)


class _Expanded(io.RawIOBase):
    """Members one after the other, expanded as they are read."""

    def __init__(self, stream: io.RawIOBase, kind: str, limits: Limits) -> None:
        self._stream, self._kind, self._limits = stream, kind, limits
        self._member: _Member | None = _member(kind, limits)
        self._ready = memoryview(b"")
        self._taken = self._given = 0
        self._bounded = kind != "zstd"  # the others can hold output back
        self._sip = _PIECE // 4 if self._bounded else _ZSTD_SIP

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._ready:
            if self._member is None:
                return 0
            self._expand(len(view))
        piece = self._ready[: len(view)]
        view[: len(piece)] = piece
        self._ready = self._ready[len(piece) :]
        return len(piece)

    def _expand(self, most: int) -> None:
        assert self._member is not None
        piece = b""
        if getattr(self._member, "needs_input", True):
            piece = self._stream.read(self._sip) or b""
            self._taken += len(piece)
            if not piece:
                raise InvalidCompression(self._kind, "it is cut off")
        try:
            output = self._run(self._member, piece, most)
        except _FAILURES as error:
            raise InvalidCompression(self._kind, str(error) or "it is damaged") from None
        self._given += len(output)
        self._check()
        self._ready = memoryview(output)
        if self._member.eof:
            self._next(self._member.unused_data)

    def _run(self, member: _Member, piece: bytes, most: int) -> bytes:
        if not self._bounded:
            return member.decompress(piece)
        expand = cast(Callable[[bytes, int], bytes], member.decompress)
        return expand(piece, max(most, 4096))

    def _check(self) -> None:
        limits = self._limits
        if self._given > limits.size:
            raise InvalidCompression(self._kind, f"it holds more than {limits.size} bytes")
        if self._given > limits.free and self._given > self._taken * limits.ratio:
            raise InvalidCompression(self._kind, f"it grows more than {limits.ratio} times")

    def _next(self, unused: bytes) -> None:
        """Begin the next member, or see that only padding is left."""
        rest = unused or self._stream.read(_PIECE // 4) or b""
        self._taken += 0 if unused else len(rest)
        while rest and not rest.strip(b"\0"):
            rest = self._stream.read(_PIECE) or b""
        if not rest:
            self._member = None
            return
        head = rest + (self._stream.read(6) or b"" if len(rest) < 6 else b"")
        if detect(head) != self._kind:
            self._drain()
            self._member = None
            return
        self._member = _member(self._kind, self._limits)
        self._stream = _Prefixed(head, cast(BinaryIO, self._stream))

    def _drain(self) -> None:
        """Read garbage to its end: whoever hashes the compressed stream counts it too."""
        while self._stream.read(_PIECE):
            pass
