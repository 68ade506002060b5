"""How long registries are waited for, and how often they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    A body that brings fewer than *slow_bytes* in *slow_seconds* counts as broken.
    """

    connect: float = 10.0
    read: float = 60.0
    tries: int = 5
    pause: float = 0.5
    longest_pause: float = 60.0
    slow_bytes: int = 4096
    slow_seconds: float = 30.0


def unheard(message: str) -> None:
    """Nobody listens."""
