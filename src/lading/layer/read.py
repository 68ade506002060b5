"""Read a tar: member by member from a stream, or headers alone as the bytes flow by."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from lading.layer.entry import Entry, InvalidTar
from lading.layer.headers import BLOCK, DEFAULT_LIMITS, Limits, decode

_SKIP = 256 * 1024


def entries(
    stream: BinaryIO, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[Entry, io.RawIOBase]]:
    """Each member with a reader of its stored bytes, good until the next one is asked for.

    InvalidTar when the stream is unsound or cut off.  It ends behind the end marker; what
    follows is left unread.
    """
    conversation = decode(limits)
    request = next(conversation)
    while True:
        try:
            if isinstance(request, int):
                request = conversation.send(_read(stream, request))
                continue
            body = Body(stream, request.stored)
            yield request, body
            body.skip()
            request = conversation.send(b"")
        except StopIteration:
            return


def _read(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    while content and len(content) < size:
        more = stream.read(size - len(content))
        if not more:
            break
        content += more
    return content


class Body(io.RawIOBase):
    """The stored bytes of one member."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size
        self._padding = -size % BLOCK

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view)) or b""
        view[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        """At most *size* bytes; empty at the end.  InvalidTar when the stream ends before."""
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        piece = self._stream.read(wanted)
        if not piece:
            raise InvalidTar("truncated in a file's data")
        self._left -= len(piece)
        return piece

    def skip(self) -> None:
        """Pass what is left, and the padding."""
        self._left += self._padding
        self._padding = 0
        while self._left:
            self.read(_SKIP)


class Scanner:
    """Understand the headers of a tar whose bytes go elsewhere.

    Feed it every piece in order; *on_entry* is called for each member.  What follows the
    end marker is ignored, as the marker says.
    """

    def __init__(self, on_entry: Callable[[Entry], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self._on_entry = on_entry
        self._conversation = decode(limits)
        self._wanted = self._ask(next(self._conversation))
        self._gathered = bytearray()
        self._skip = 0
        self._ended = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream; InvalidTar."""
        at, end = 0, len(piece)
        while at < end and not self._ended:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
            elif not self._gathered and end - at >= self._wanted:
                at += self._wanted
                self._answer(piece[at - self._wanted : at])
            else:
                missing = self._wanted - len(self._gathered)
                self._gathered += piece[at : at + missing]
                at += missing
                if len(self._gathered) == self._wanted:
                    gathered, self._gathered = bytes(self._gathered), bytearray()
                    self._answer(gathered)

    def close(self) -> None:
        """Say that the stream has ended; InvalidTar when it should not have."""
        if self._ended:
            return
        if self._skip or self._gathered:
            raise InvalidTar("truncated")
        self._answer(b"")
        if not self._ended:
            raise InvalidTar("truncated")

    def _answer(self, content: bytes) -> None:
        try:
            self._wanted = self._ask(self._conversation.send(content))
        except StopIteration:
            self._ended = True

    def _ask(self, request: int | Entry) -> int:
        while not isinstance(request, int):
            self._on_entry(request)
            self._skip = -(-request.stored // BLOCK) * BLOCK
            request = self._conversation.send(b"")
        return request
