"""The patterns of ``${name#pattern}`` and its kin: ``*``, ``?`` and escapes (pure).

Nothing is tried twice, whatever the pattern: the time is that of a plain search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class InvalidPattern(ValueError):
    """Raised for an escape that means nothing in a pattern."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text between two stars: every match of it is *width* characters."""

    expression: re.Pattern[str]
    width: int

    def last_end(self, text: str, at: int) -> int | None:
        """Where the last match at or after *at* ends."""
        overlapping = re.compile(f"(?={self.expression.pattern})", re.DOTALL)
        starts = [found.start() for found in overlapping.finditer(text, at)]
        return starts[-1] + self.width if starts else None


@dataclass(frozen=True, slots=True)
class Pattern:
    """The pieces between the stars, in their order.

    The first place where a piece fits is as good for what follows as any later one.
    """

    pieces: tuple[Piece, ...]

    @classmethod
    def parse(cls, text: str, *, backwards: bool = False) -> Pattern:
        """InvalidPattern; *backwards*: to match a text that was turned round."""
        pieces: list[list[str]] = [[]]
        for is_star, char in _characters(text):
            if is_star:
                pieces.append([])
            else:
                pieces[-1].append(char)
        if backwards:
            pieces = [piece[::-1] for piece in reversed(pieces)]
        return cls(tuple(Piece(re.compile("".join(p), re.DOTALL), len(p)) for p in pieces))

    def prefix(self, text: str, *, longest: bool) -> int | None:
        """How much of the beginning of *text* matches."""
        first = self.pieces[0].expression.match(text)
        return self._end(text, first.end(), longest=longest) if first else None

    def find(self, text: str, start: int) -> tuple[int, int] | None:
        """Where the leftmost, longest match at or after *start* begins and ends."""
        first = self.pieces[0].expression.search(text, start)
        end = self._end(text, first.end(), longest=True) if first else None
        return (first.start(), end) if first and end is not None else None

    def _end(self, text: str, at: int, *, longest: bool) -> int | None:
        """Where the match ends whose first piece ended at *at*."""
        for piece in self.pieces[1:-1]:
            found = piece.expression.search(text, at)
            if found is None:
                return None
            at = found.end()
        last = self.pieces[-1]
        if len(self.pieces) == 1:
            return at
        if longest:
            return last.last_end(text, at) if last.width else len(text)
        found = last.expression.search(text, at)
        return found.end() if found else None


def _characters(text: str) -> Iterator[tuple[bool, str]]:
    """Each character as (is it a star, its regular expression); InvalidPattern."""
    characters = iter(text)
    for char in characters:
        if char == "\\":
            char = next(characters, "")
            if char not in ("*", "?", "\\", "}", "/"):
                raise InvalidPattern(f"invalid escape '\\{char}'")
            yield False, re.escape(char)
        else:
            yield char == "*", "." if char == "?" else re.escape(char)


def without_prefix(text: str, pattern: str, *, longest: bool) -> str:
    """``${text#pattern}``; *longest*: ``##``."""
    end = Pattern.parse(pattern).prefix(text, longest=longest)
    return text if end is None else text[end:]


def without_suffix(text: str, pattern: str, *, longest: bool) -> str:
    """``${text%pattern}``; *longest*: ``%%``."""
    end = Pattern.parse(pattern, backwards=True).prefix(text[::-1], longest=longest)
    return text if end is None else text[: len(text) - end]


def replaced(text: str, pattern: str, new: str, *, every: bool) -> str:
    """``${text/pattern/new}``; *every*: ``//``."""
    wanted, parts, at = Pattern.parse(pattern), [], 0
    while (found := wanted.find(text, at)) and found[1] > found[0]:
        parts += [text[at : found[0]], new]
        at = found[1]
        if not every:
            break
    return "".join([*parts, text[at:]])
