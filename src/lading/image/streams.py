"""Streams joined by threads, so that reading, expanding, hashing and writing overlap."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, cast

_PIECE = 128 * 1024  # larger pieces leave the processor's cache
_AHEAD = 16


class Sink(Protocol):
    """Anything that takes bytes."""

    def write(self, piece: bytes, /) -> Any: ...


class _Failed:
    """What ended a thread, on its way to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ReadAhead(io.RawIOBase):
    """Read *stream* in a thread of its own, a bounded way ahead of whoever reads this.

    Use it as a context: the thread has ended when the context has.  What *stream* raises is
    raised here.  *stream* stays open.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._pieces: queue.Queue[bytes | _Failed] = queue.Queue(_AHEAD)
        self._rest = memoryview(b"")
        self._stopping = False
        self._ended: bytes | _Failed | None = None
        self.passed = 0  # bytes given out
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, empty at the end, all that are left for -1: whole pieces are not copied."""
        if size < 0:
            return self.readall()
        if self._rest or size < _PIECE:
            return super().read(size) or b""
        piece = self._next()
        self.passed += len(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if not self._rest:
            self._rest = memoryview(self._next())
        piece = self._rest[: len(view)]
        view[: len(piece)] = piece
        self._rest = self._rest[len(piece) :]
        self.passed += len(piece)
        return len(piece)

    def close(self) -> None:
        if self.closed:
            return
        self._stopping = True
        while self._thread.is_alive():
            try:
                self._pieces.get(timeout=0.05)
            except queue.Empty:
                continue
        super().close()

    def _next(self) -> bytes:
        if self._ended is None:
            piece = self._pieces.get()
            if piece and not isinstance(piece, _Failed):
                return piece
            self._ended = piece
        if isinstance(self._ended, _Failed):
            raise self._ended.error
        return b""

    def _run(self) -> None:
        piece: bytes | _Failed = b"-"
        while piece and not isinstance(piece, _Failed) and not self._stopping:
            try:
                piece = self._stream.read(_PIECE)
            except BaseException as error:  # handed over, whatever it is
                piece = _Failed(error)
            self._pieces.put(piece)


class Recorded(io.RawIOBase):
    """*stream*, whose every byte also goes to *sink* when it is read."""

    def __init__(self, stream: BinaryIO, sink: Sink) -> None:
        self._stream, self._sink = stream, sink

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self._sink.write(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


class Prefixed(io.RawIOBase):
    """*stream* with the bytes put back before it that were looked at."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, empty at the end, all that are left for -1; not copied behind the head."""
        if size < 0:
            return self.readall()
        if not self._head:
            return self._stream.read(size) or b""
        piece, self._head = self._head[:size], self._head[size:]
        return piece

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


def buffered(stream: io.RawIOBase) -> BinaryIO:
    """*stream* in a form whose ``read(n)`` gives n bytes, fewer only at the end."""
    return cast(BinaryIO, io.BufferedReader(stream, _PIECE))


def drain(stream: BinaryIO) -> None:
    """Read *stream* to its end."""
    while stream.read(_PIECE):
        pass


def pour(stream: BinaryIO, sink: Sink, *, piece_size: int = _PIECE) -> int:
    """Write all that *stream* holds to *sink*; the number of bytes."""
    poured = 0
    while piece := stream.read(piece_size):
        sink.write(piece)
        poured += len(piece)
    return poured


class _Pipe(io.RawIOBase):
    """The reading end of what another thread writes."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | _Failed] = queue.Queue(_AHEAD)
        self.abandoned = False
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if not self._rest and not self._ended:
            self._rest = self._next()
        piece = self._rest[: len(view)]
        view[: len(piece)] = piece
        self._rest = self._rest[len(piece) :]
        return len(piece)

    def _next(self) -> memoryview:
        piece = self.pieces.get()
        if isinstance(piece, _Failed):
            self._ended = True
            raise piece.error
        self._ended = not piece
        return memoryview(piece)


class Abandoned(OSError):
    """Raised in a writer whose reader has gone away."""


class _Gatherer(io.RawIOBase):
    """The writing end: small writes are gathered into pieces."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        if self._pipe.abandoned:
            raise Abandoned("the reader has gone away")
        content = bytes(piece)
        if content:
            self._pipe.pieces.put(content)
        return len(content)


class Written:
    """A stream of what *write* writes, made by a thread while it is read.  Use it as a context."""

    def __init__(self, write: Callable[[BinaryIO], object]) -> None:
        self._write = write
        self._pipe = _Pipe()
        self._thread = threading.Thread(target=self._run, name="written", daemon=True)

    def __enter__(self) -> BinaryIO:
        self._thread.start()
        return buffered(self._pipe)

    def __exit__(self, *failure: object) -> None:
        self._pipe.abandoned = True
        while self._thread.is_alive():
            try:
                self._pipe.pieces.get(timeout=0.05)
            except queue.Empty:
                continue

    def _run(self) -> None:
        try:
            out = io.BufferedWriter(_Gatherer(self._pipe), _PIECE)
            self._write(cast(BinaryIO, out))
            out.flush()
        except BaseException as error:  # handed over, whatever it is
            self._pipe.pieces.put(_Failed(error))
        else:
            self._pipe.pieces.put(b"")
