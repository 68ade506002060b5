"""Know a stream's digest when it has been read, whoever reads it."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO

from lading.errors import Corrupt
from lading.oci.digest import Digest

_PIECE = 128 * 1024


class WrongLayer(Corrupt):
    """Raised for a tar that is not the layer it was said to be; nothing of it is kept."""

    def __init__(self, expected: Digest, found: Digest) -> None:
        super().__init__(f"layer content does not match its diff ID: {expected}, found {found}")


class HashingReader(io.RawIOBase):
    """Passes a stream on and hashes it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        self._sha256.update(piece)
        return len(piece)

    def finish(self, expected: Digest | None) -> Digest:
        """Read to the end; the digest of all of it.  WrongLayer unless it is *expected*."""
        while self.read(_PIECE):
            pass
        found = Digest("sha256:" + self._sha256.hexdigest())
        return verified(found, expected)


def verified(found: Digest, expected: Digest | None) -> Digest:
    """*found*, if it is what was *expected* or nothing was; WrongLayer."""
    if expected is not None and found != expected:
        raise WrongLayer(expected, found)
    return found
