"""One difference between two file trees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Docker's three kinds of change; the value is `docker diff`'s letter."""

    MODIFIED = "C"
    ADDED = "A"
    DELETED = "D"


@dataclass(frozen=True, slots=True)
class Change:
    """*path* is relative to the root, without outer slashes; ``b""`` is the root itself."""

    path: bytes
    kind: Kind
