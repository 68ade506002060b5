"""The functions a template may call: Go's own, and those that Docker adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lading.cli.gotemplate import compare
from lading.cli.gotemplate.errors import CallError
from lading.cli.gotemplate.printf import sprintf
from lading.cli.gotemplate.printing import plain, sprint, sprintln, to_json
from lading.cli.gotemplate.values import Map, Nil, truth, type_name

_MANY = 1_000  # arguments
_WIDEST = 10_000
_WORD_START = re.compile(r"(?<![\w'’])\w")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
_JS = {chr(code): f"\\u{code:04X}" for code in (*range(32), *map(ord, "<>&="))}
_JS.update({"\\": "\\\\", "'": "\\'", '"': '\\"'})


class Function:
    """Something to call, and how many arguments it takes."""

    __slots__ = ("call", "least", "most")

    def __init__(self, call: Callable[..., object], least: int, most: int | None = None) -> None:
        self.call = call
        self.least = least
        self.most = least if most is None else most


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise CallError(f"wrong type for value; expected string; got {type_name(value)}")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise CallError(f"wrong type for value; expected int; got {type_name(value)}")


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise CallError(f"len of type {type_name(value)}")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: object, key: object) -> object:
    if value is None or isinstance(value, Nil):
        raise CallError("index of untyped nil")
    if isinstance(value, dict):
        return value.get(_text(key), "" if _holds_text(value) else None)
    if not isinstance(value, (list, tuple, str)):
        raise CallError(f"can't index item of type {type_name(value)}")
    at = _whole(key)
    items = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not 0 <= at < len(items):
        raise CallError(f"index out of range: {at}")
    return items[at]


def _holds_text(value: dict[str, object]) -> bool:
    """A map from strings to strings, such as labels: its missing keys are empty strings."""
    return isinstance(value, Map) and all(isinstance(item, str) for item in value.values())


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, (str, list, tuple)):
        raise CallError(f"can't slice item of type {type_name(value)}")
    items = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    ends = [_whole(bound) for bound in bounds]
    start, stop = (ends + [0, len(items)][len(ends) :])[:2]
    if not 0 <= start <= stop <= len(items):
        raise CallError(f"index out of range: {stop if start <= len(items) else start}")
    part = items[start:stop]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part


def _join(items: object, separator: object) -> str:
    if items is None or isinstance(items, Nil):
        return ""
    if not isinstance(items, (list, tuple)):
        raise CallError(f"wrong type for value; expected []string; got {type_name(items)}")
    return _text(separator).join(map(plain, items))


def _split(text: object, separator: object) -> list[str]:
    return _text(text).split(_text(separator)) if separator else list(_text(text))


def _title(text: object) -> str:
    return _WORD_START.sub(lambda match: match.group().upper(), _text(text))


def _pad(text: object, before: object, after: object) -> str:
    sizes = [min(_whole(size), _WIDEST) for size in (before, after)]
    if min(sizes) < 0:
        raise CallError("strings: negative Repeat count")
    return f"{' ' * sizes[0]}{text}{' ' * sizes[1]}" if _text(text) else ""


def _truncate(text: object, length: object) -> str:
    if _whole(length) < 0:
        raise CallError(f"slice bounds out of range [:{length}]")
    data = _text(text).encode("utf-8", "surrogateescape")
    return data[: _whole(length)].decode("utf-8", "replace")


def _replaced(table: Mapping[str, str]) -> Callable[..., str]:
    def replace(*values: object) -> str:
        return "".join(table.get(character, character) for character in sprint(values))

    return replace


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(sprint(values), errors="surrogateescape")


def _printf(form: object, *values: object) -> str:
    return sprintf(_text(form), values)


FUNCTIONS: Mapping[str, Function] = {
    "and": Function(lambda *values: None, 1, _MANY),  # evaluated lazily, as is ``or``
    "or": Function(lambda *values: None, 1, _MANY),
    "not": Function(lambda value: not truth(value), 1),
    "len": Function(_length, 1),
    "index": Function(_index, 1, _MANY),
    "slice": Function(_slice, 1, 3),
    "print": Function(lambda *values: sprint(values), 0, _MANY),
    "println": Function(lambda *values: sprintln(values), 0, _MANY),
    "printf": Function(_printf, 1, _MANY),
    "html": Function(_replaced(_HTML), 0, _MANY),
    "js": Function(_replaced(_JS), 0, _MANY),
    "urlquery": Function(_urlquery, 0, _MANY),
    "eq": Function(compare.equal, 1, _MANY),
    "ne": Function(compare.different, 2),
    "lt": Function(compare.less, 2),
    "le": Function(lambda one, two: not compare.less(two, one), 2),
    "gt": Function(lambda one, two: compare.less(two, one), 2),
    "ge": Function(lambda one, two: not compare.less(one, two), 2),
    "json": Function(to_json, 1),
    "split": Function(_split, 2),
    "join": Function(_join, 2),
    "title": Function(_title, 1),
    "lower": Function(lambda text: _text(text).lower(), 1),
    "upper": Function(lambda text: _text(text).upper(), 1),
    "pad": Function(_pad, 3),
    "truncate": Function(_truncate, 2),
}

# A table's header goes through the row's template and must come out as it is.
HEADER_FUNCTIONS: Mapping[str, Function] = {
    **FUNCTIONS,
    **{name: Function(lambda text: text, 1) for name in ("json", "title", "lower", "upper")},
    **{name: Function(lambda text, _: text, 2) for name in ("split", "join", "truncate")},
}
