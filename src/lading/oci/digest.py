"""The name of some bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO

from lading.errors import Invalid

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_PIECE = 256 * 1024


class InvalidDigest(Invalid):
    """Raised for text that is not a digest this engine knows."""

    def __init__(self, text: object) -> None:
        super().__init__(f"invalid digest: {str(text)[:160]!r}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """``algorithm:hex`` of some bytes as stored (image-spec, descriptor.md#digests)."""

    text: str

    @classmethod
    def parse(cls, text: object) -> Digest:
        """Take *text* as a digest; InvalidDigest unless it is one, to the letter."""
        if not isinstance(text, str) or not _DIGEST.fullmatch(text):
            raise InvalidDigest(text)
        return cls(text)

    @classmethod
    def of(cls, content: bytes) -> Digest:
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @classmethod
    def of_stream(cls, stream: BinaryIO) -> Digest:
        """Read *stream* to its end and name what it held."""
        sha256 = hashlib.sha256()
        while piece := stream.read(_PIECE):
            sha256.update(piece)
        return cls("sha256:" + sha256.hexdigest())

    @property
    def algorithm(self) -> str:
        return self.text.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.text.partition(":")[2]

    @property
    def short(self) -> str:
        """The twelve hex digits that people are shown."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.text
