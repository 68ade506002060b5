"""The ``--name=value`` words that stand before an instruction's arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lading.build.errors import InvalidDockerfile, Location, suggestion

_FLAG = re.compile(
    r"--(?:[^\s'\"\\]|\\.|'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")*+(?=\s|\Z)", re.S
)
_QUOTED = re.compile(r"\\(.)|'((?:[^'\\]|\\.)*+)'|\"((?:[^\"\\]|\\.)*+)\"", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def take(text: str) -> tuple[list[str], str]:
    """The flags at the beginning of *text*, quotes taken away, and what follows them."""
    flags, at = [], 0
    while found := _FLAG.match(text, at):
        at = found.end()
        while text[at : at + 1].isspace():
            at += 1
        if found[0] == "--":
            break
        flags.append(_QUOTED.sub(_unquoted, found[0]))
    return flags, text[at:]


def _unquoted(found: re.Match[str]) -> str:
    """What stands within quotes, or behind an escape; quotes of the other kind stay."""
    return found[1] or _ESCAPED.sub(r"\1", found[2] or found[3] or "")


class Flags:
    """The flags of one instruction, asked for by name; `close` refuses those nobody asked for."""

    def __init__(self, flags: Sequence[str], where: Location) -> None:
        self._given = [flag[2:].partition("=") for flag in flags]
        self._where = where
        self._known: list[str] = []

    def many(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may be repeated."""
        self._known.append(name)
        for given, equals, _ in self._given:
            if given == name and not equals:
                raise self._wrong(f"missing a value on flag: {name}")
        return tuple(value for given, _, value in self._given if given == name)

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag that may be given once."""
        values = self.many(name)
        if len(values) > 1:
            raise self._wrong(f"duplicate flag specified: {name}")
        return values[0] if values else default

    def choice(self, name: str, *choices: str) -> str:
        """One of *choices*; the first when it is not given."""
        value = self.text(name, choices[0])
        if value not in choices:
            expected = ", ".join(choices)
            raise self._wrong(f"--{name} {value[:80]!r} is not known: expected one of {expected}")
        return value

    def boolean(self, name: str) -> bool | None:
        """A flag that is true where it has no value; None when it is not given."""
        self._known.append(name)
        values = [value or "true" for given, _, value in self._given if given == name]
        if len(values) > 1:
            raise self._wrong(f"duplicate flag specified: {name}")
        if values and values[0].lower() not in ("true", "false"):
            raise self._wrong(
                f"expecting boolean value for flag {name} (true or false), not: {values[0][:80]}"
            )
        return values[0].lower() == "true" if values else None

    def close(self) -> None:
        """InvalidDockerfile for a flag that is not known."""
        for given, _, _ in self._given:
            if given not in self._known:
                near = suggestion(given, self._known)
                raise self._wrong(f"unknown flag: --{given[:80]}{near}")

    def _wrong(self, why: str) -> InvalidDockerfile:
        return InvalidDockerfile(self._where, why)
