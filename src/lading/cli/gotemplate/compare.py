"""Go's ``eq ne lt le gt ge``: values are compared within one kind only."""

from __future__ import annotations

from lading.cli.gotemplate.errors import CallError
from lading.cli.gotemplate.printing import plain
from lading.cli.gotemplate.values import Nil, type_name


def equal(first: object, *others: object) -> bool:
    """Whether *first* equals any of *others*."""
    if not others:
        raise CallError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def different(first: object, second: object) -> bool:
    """Whether the two differ."""
    return not _same(first, second)


def less(first: object, second: object) -> bool:
    """Whether *first* comes before *second*."""
    kind = _kind(first)
    if kind != _kind(second):
        raise CallError("incompatible types for comparison")
    if kind not in ("int", "float", "string"):
        raise CallError("invalid type for comparison")
    return bool(first < second)  # type: ignore[operator]  # both are of one ordered kind


def _same(first: object, second: object) -> bool:
    if _absent(first) or _absent(second):
        return _absent(first) and _absent(second)
    if _kind(first) != _kind(second):
        raise CallError("incompatible types for comparison")
    if _kind(first) == "":
        raise CallError(f"non-comparable type {plain(first)}: {type_name(first)}")
    return first == second


def _absent(value: object) -> bool:
    return value is None or isinstance(value, Nil)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, kind):
            return name
    return ""
