"""What a registry asks for with 401, read from ``WWW-Authenticate`` (RFC 9110, 11.6.1); pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|$)")
_PAIR = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?=,|$)')
_MOST = 8192  # bytes of a header that are read


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in: *scheme* in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """Every challenge of the header; what cannot be read ends the list."""
    return list(_read(header[:_MOST]))


def _read(text: str) -> Iterator[Challenge]:
    at = 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        found: dict[str, str] = {}
        while pair := _PAIR.match(text, at):
            value = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
            found.setdefault(pair[1].lower(), value)
            at = pair.end()
        yield Challenge(scheme[1].lower(), found)
