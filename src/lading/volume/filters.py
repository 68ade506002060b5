"""Docker's filters for volumes (pure): those of the list, and those of prune."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from lading.errors import Invalid
from lading.volume.values import Volume

Users = Callable[[str], Sequence[str]]
"""The IDs of the containers that use a volume, by its name."""

Filters = Mapping[str, Sequence[str]]

_LIST = frozenset({"dangling", "driver", "label", "name"})
_PRUNE = frozenset({"label", "label!", "all"})
_FLAGS = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}
_MOST_GAPS = 4  # each makes a search longer by a power


class InvalidFilter(Invalid):
    """Raised for a filter that does not exist or cannot have that value, in Docker's words."""

    def __init__(self, name: str, values: Sequence[str] | None = None) -> None:
        told = "" if values is None else "=[" + " ".join(values)[:80] + "]"
        super().__init__(f"invalid filter '{name[:80]}{told}'")


def nobody(name: str) -> Sequence[str]:
    """The `Users` of those who know of no containers."""
    return ()


class ListFilter:
    """Which volumes ``volume ls`` shows: Docker's dangling, driver, label and name."""

    def __init__(self, filters: Filters, users: Users) -> None:
        """Invalid for a filter that does not exist, or a value that it cannot have."""
        _check(filters, _LIST)
        self._dangling = _flag(filters, "dangling")
        self._drivers, self._labels = filters.get("driver", ()), filters.get("label", ())
        self._names = [_pattern(text) for text in filters.get("name", ())]
        self._users = users

    def takes(self, volume: Volume) -> bool:
        return (
            (not self._drivers or volume.driver in self._drivers)
            and all(_has(volume.labels, label) for label in self._labels)
            and (not self._names or any(name.search(volume.name) for name in self._names))
            and (self._dangling is None or self._dangling is not bool(self._users(volume.name)))
        )


class PruneFilter:
    """Which volumes ``volume prune`` may take: anonymous ones, unless ``all`` is asked for."""

    def __init__(self, filters: Filters) -> None:
        """Invalid for a filter that does not exist, or a value that it cannot have."""
        _check(filters, _PRUNE)
        self._all = _flag(filters, "all") or False
        self._labels, self._refused = filters.get("label", ()), filters.get("label!", ())

    def takes(self, volume: Volume) -> bool:
        return (
            (self._all or volume.anonymous)
            and all(_has(volume.labels, label) for label in self._labels)
            and not any(_has(volume.labels, label) for label in self._refused)
        )


def _check(filters: Filters, known: Collection[str]) -> None:
    for name in filters:
        if name not in known:
            raise InvalidFilter(name)


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _flag(filters: Filters, name: str) -> bool | None:
    if name not in filters:
        return None
    found = {_FLAGS.get(value.lower()) for value in filters[name]}
    if found in ({True}, {False}):
        return found == {True}
    raise InvalidFilter(name, filters[name])


def _pattern(text: str) -> re.Pattern[str]:
    """A part of a name: ``^``, ``$`` and ``.*`` mean what they do in patterns, all else itself."""
    start, end = text.startswith("^"), text.endswith("$")
    parts = text[start : len(text) - end].split(".*")
    if len(parts) - 1 > _MOST_GAPS:
        raise InvalidFilter("name", [text])
    inner = ".*".join(re.escape(part) for part in parts)
    return re.compile(("^" if start else "") + inner + (r"\Z" if end else ""))
