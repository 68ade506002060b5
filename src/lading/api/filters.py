"""The ``filters`` parameter of list, prune and events: what was asked, and how values match (pure).

Both of Docker's spellings are read: ``{"name": ["web"]}`` and the older
``{"name": {"web": true}}``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from lading.errors import Invalid

_MOST_BYTES = 64 * 1024
_PLAIN = re.compile(r"[\w./:@=-]*")
_NESTED = re.compile(r"\)\s*[*+?{]|\\[0-9]|\(\?")
_REPEATS = re.compile(r"[*+{]")
_TRUE = frozenset({"1", "true", "t"})
_FALSE = frozenset({"0", "false", "f"})


class InvalidFilter(Invalid):
    """Raised for a filter that does not exist or cannot have that value, in Docker's words."""

    def __init__(self, name: str = "", value: str | None = None) -> None:
        told = f" '{name[:80]}" + (f"={value[:80]}" if value is not None else "") + "'"
        super().__init__("invalid filter" + (told if name else ""))


class Filters:
    """Values by filter name; a filter that is absent lets everything through."""

    def __init__(self, values: Mapping[str, Iterable[str]] | None = None) -> None:
        self._values = {name: tuple(given) for name, given in (values or {}).items()}

    @classmethod
    def parse(cls, text: str, allowed: Collection[str] | None = None) -> Filters:
        """Read the parameter's JSON; InvalidFilter for bad JSON and for names not *allowed*."""
        if not text:
            return cls()
        if len(text) > _MOST_BYTES:
            raise InvalidFilter()
        filters = cls(_decode(text))
        for name in filters._values:
            if allowed is not None and name not in allowed:
                raise InvalidFilter(name)
        return filters

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def all(self, name: str) -> tuple[str, ...]:
        """The values asked for."""
        return self._values.get(name, ())

    def as_mapping(self) -> dict[str, list[str]]:
        """The same as plain lists, for packages that filter by themselves."""
        return {name: list(values) for name, values in self._values.items()}

    def flag(self, name: str) -> bool | None:
        """A yes-or-no filter; None when it is absent; InvalidFilter for anything else."""
        if name not in self._values:
            return None
        values = {value.lower() for value in self._values[name]}
        if values and values <= _TRUE:
            return True
        if values and values <= _FALSE:
            return False
        raise InvalidFilter(name, "[" + " ".join(self._values[name]) + "]")

    def exact(self, name: str, *candidates: str) -> bool:
        """Whether one of *candidates* is asked for to the letter, or the filter is absent."""
        asked = self._values.get(name)
        return not asked or any(candidate in asked for candidate in candidates)

    def matches(self, name: str, *candidates: str) -> bool:
        """Whether one of *candidates* contains one of the values, read as patterns."""
        asked = self._values.get(name)
        if not asked:
            return True
        return any(_search(value, text) for value in asked for text in candidates)

    def labels(self, labels: Mapping[str, str] | None, name: str = "label") -> bool:
        """Whether *labels* hold every ``key`` or ``key=value`` asked for."""
        return all(_has_label(asked, labels or {}) for asked in self._values.get(name, ()))

    def labels_for_prune(self, labels: Mapping[str, str] | None) -> bool:
        """The same, and none of those under ``label!``."""
        refused = self._values.get("label!", ())
        return self.labels(labels) and not any(_has_label(each, labels or {}) for each in refused)


def _decode(text: str) -> dict[str, list[str]]:
    try:
        return msgspec.json.decode(text, type=dict[str, list[str]])
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        older = msgspec.json.decode(text, type=dict[str, dict[str, bool]])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidFilter() from None
    return {name: [v for v, wanted in given.items() if wanted] for name, given in older.items()}


def _has_label(asked: str, labels: Mapping[str, str]) -> bool:
    key, equals, value = asked.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _search(pattern: str, text: str) -> bool:
    if pattern == text or (_PLAIN.fullmatch(pattern) and "." not in pattern):
        return pattern in text
    return _compiled(pattern).search(text) is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern that cannot take long: Go's are linear, Python's only without nesting."""
    if _NESTED.search(pattern) or len(_REPEATS.findall(pattern)) > 4 or len(pattern) > 512:
        raise InvalidFilter("pattern", pattern)
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise InvalidFilter("pattern", pattern) from None
