"""How far a long operation has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done, in Docker's words; *current* and *total* are bytes, 0 if unknown."""

    id: str
    status: str
    current: int = 0
    total: int = 0


Listener = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Nobody listens."""
