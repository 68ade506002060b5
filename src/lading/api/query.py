"""A request's query string, read as Docker reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lading.errors import Invalid

_FALSE = frozenset({"", "0", "no", "false", "none"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class InvalidNumber(Invalid):
    """Raised where a number was wanted; the words are those of Go's strconv."""

    def __init__(self, text: str) -> None:
        super().__init__(f'strconv.Atoi: parsing "{text[:80]}": invalid syntax')


class Query:
    """The values by name; a name may come several times."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, name: str) -> list[str]:
        """Every value given for *name*, in order; what is not UTF-8 is replaced."""
        return [_clean(value) for value in self._values.get(name, ())]

    def text(self, name: str, default: str = "") -> str:
        """The first value, or *default*; what is not UTF-8 is replaced."""
        return _clean(self.path(name) if name in self._values else default)

    def path(self, name: str) -> str:
        """The first value as a path: any bytes, as `os.fsdecode` shows them."""
        return next(iter(self._values.get(name, ())), "")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether it is set: anything but ``0``, ``no``, ``false``, ``none`` and nothing."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def number(self, name: str) -> int | None:
        """The integer given, None when it is absent or empty; InvalidNumber."""
        text = self.text(name)
        return integer(text) if text else None


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def integer(text: str) -> int:
    """*text* as a decimal integer; InvalidNumber."""
    if not _INTEGER.fullmatch(text):
        raise InvalidNumber(text)
    return int(text)
