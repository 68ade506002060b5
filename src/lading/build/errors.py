"""What can be wrong with a Dockerfile: always with the file and the line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from lading.errors import Invalid


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """Where a statement stands: its *file*, and its first and last line, counted from 1."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}:{self.first}"


class InvalidDockerfile(Invalid):
    """Raised for a Dockerfile that cannot be built: the file, the line, what was expected."""

    def __init__(self, where: Location, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for the nearest of *known*; nothing where none is near."""
    near = get_close_matches(word[:80], list(known)[:1000], n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
