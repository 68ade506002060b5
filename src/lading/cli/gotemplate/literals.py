"""Go's constants: quoted strings, characters and numbers, read as strconv reads them."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'\"])|.)",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LARGEST = 0x10FFFF


def text(source: str) -> str:
    """The string that a quoted or raw literal means; ValueError for a bad escape."""
    if source[0] == "`":
        return source[1:-1].replace("\r", "")
    return _unescaped(source[1:-1], quote='"')


def character(source: str) -> int:
    """The code point of a character constant; ValueError when it is not exactly one."""
    value = _unescaped(source[1:-1], quote="'")
    if len(value) != 1:
        raise ValueError(f"malformed character constant: {source}")
    return ord(value)


def number(source: str) -> int | float:
    """The value of a number; ValueError when it is none."""
    digits = source.lstrip("+-").lower()
    if not digits.startswith(("0x", "0b", "0o")) and any(c in digits for c in ".e"):
        return float(source)
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return int(source.replace("_", ""), 8)
    return int(source, 0)


def _unescaped(body: str, *, quote: str) -> str:
    if "\\" not in body:
        return body
    raw = _ESCAPE.sub(lambda match: _escape(match, quote), body)
    # ``\xNN`` names a byte, not a character: put the bytes together again.
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _escape(match: re.Match[str], quote: str) -> str:
    byte, short, long, octal, simple = match.groups()
    if byte or octal:
        value = int(byte, 16) if byte else int(octal, 8)
        if value > 0xFF:
            raise ValueError("invalid syntax")
        return chr(value) if value < 0x80 else chr(0xDC00 + value)
    if short or long:
        value = int(short or long, 16)
        if value > _LARGEST or 0xD800 <= value <= 0xDFFF:
            raise ValueError("invalid syntax")
        return chr(value)
    if simple is None or (simple in "'\"" and simple != quote):
        raise ValueError("invalid syntax")
    return _SIMPLE.get(simple, simple)
