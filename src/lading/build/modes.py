"""``--chmod``: octal digits, or the symbols of chmod(1) (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable

from lading.errors import Invalid

Mode = Callable[[int, bool], int]
"""The new mode of an old one; the second argument tells whether it is a directory's."""

_OCTAL = re.compile(r"0*[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_SPECIAL = {"u": 0o4000, "g": 0o2000}


class InvalidChmod(Invalid):
    """Raised for a mode that is none."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"invalid chmod parameter: {text[:80]!r}: expected octal digits between 0 and 07777, "
            "or symbols such as u=rwX,go=rX"
        )


def parse(text: str) -> Mode:
    """What ``--chmod=text`` makes of modes; InvalidChmod."""
    if _OCTAL.fullmatch(text):
        number = int(text, 8)
        return lambda old, is_directory: number
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not text or not all(clauses):
        raise InvalidChmod(text)
    steps = [
        (found[1] or "a", action[1], action[2])
        for found in clauses
        if found
        for action in _ACTION.finditer(found[2])
    ]

    def change(old: int, is_directory: bool) -> int:
        for who, sign, letters in steps:
            old = _changed(old, who, sign, letters, is_directory=is_directory)
        return old

    return change


def _changed(old: int, who: str, sign: str, letters: str, *, is_directory: bool) -> int:
    classes = "ugo" if "a" in who else who
    mask, covered = 0, 0
    for each in classes:
        bits = sum(_BITS.get(letter, 0) for letter in set(letters))
        if "X" in letters and (is_directory or old & 0o111):
            bits |= 1
        mask |= bits << _SHIFTS[each]
        covered |= 7 << _SHIFTS[each]
        if "s" in letters:
            mask |= _SPECIAL.get(each, 0)
        covered |= _SPECIAL.get(each, 0) if not is_directory else 0
    if "t" in letters:
        mask |= 0o1000
    if sign == "+":
        return old | mask
    return old & ~mask if sign == "-" else (old & ~covered) | mask
