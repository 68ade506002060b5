"""What a service that only keeps files by key must do, so that a place can be made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lading.errors import NotFound


class NotOnShelf(NotFound):
    """Raised for a key under which there is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is not there")


@dataclass(frozen=True, slots=True)
class Item:
    """A file; *modified* is in seconds by the service's own clock."""

    key: str
    size: int
    modified: float


class Shelf(Protocol):
    """Files by key (``a/b``); what is written is seen whole, by everybody, or not at all.

    Safe to use from several threads.  Denied, Unavailable.
    """

    def prepare(self, folders: Sequence[str]) -> None:
        """Make what must be there before anything is written."""
        ...

    def read(self, key: str) -> bytes:
        """A small file; NotOnShelf."""
        ...

    def piece(self, key: str, at: int, length: int) -> bytes:
        """A part of a file that is no longer than it; NotOnShelf."""
        ...

    def write(self, key: str, stream: BinaryIO, size: int) -> None:
        """Keep a file, in place of another if there is one; durable on return."""
        ...

    def claim(self, key: str, content: bytes) -> bool:
        """Keep a small file unless there is one, as far as the service can; whether it did."""
        ...

    def size(self, key: str) -> int | None:
        """Of a file; None where there is none."""
        ...

    def items(self, folder: str) -> Sequence[Item]:
        """What lies right in a folder; nothing where there is none."""
        ...

    def remove(self, key: str) -> None:
        """Take a file away; also where there is none."""
        ...
