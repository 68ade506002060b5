"""The one way by which JSON from strangers comes in.

Size and depth are bounded, duplicate keys and numbers that are none are refused, and
text that cannot be written as UTF-8 is too: two readers of one document must agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lading.errors import Invalid

MOST_BYTES = 4 * 1024 * 1024  # what registries are asked to accept for a manifest
_MOST_DEPTH = 64


class InvalidDocument(Invalid):
    """Raised for bytes that are not the JSON document they should be."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"invalid {what}: {why}")


def parse(raw: bytes, what: str, *, most: int = MOST_BYTES) -> dict[str, Any]:
    """The object that *raw* holds; InvalidDocument names it *what*."""
    if len(raw) > most:
        raise InvalidDocument(what, f"{len(raw)} bytes are more than the limit of {most}")
    value = _loads(raw, what)
    if not isinstance(value, dict):
        raise InvalidDocument(what, f"expected an object, found {type(value).__name__}")
    return value


def parse_list(raw: bytes, what: str, *, most: int = MOST_BYTES) -> list[Any]:
    """The array that *raw* holds."""
    if len(raw) > most:
        raise InvalidDocument(what, f"{len(raw)} bytes are more than the limit of {most}")
    value = _loads(raw, what)
    if not isinstance(value, list):
        raise InvalidDocument(what, f"expected an array, found {type(value).__name__}")
    return value


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes under which lading stores a document of its own: compact, in the order given."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def text(value: object, what: str, field: str) -> str:
    """*value* as a string; absent (None) counts as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidDocument(what, f"{field} is not a string")
    return value


def array(value: object, what: str, field: str) -> list[Any]:
    """*value* as a list; absent (None) counts as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidDocument(what, f"{field} is not an array")
    return value


def table(value: object, what: str, field: str) -> dict[str, Any]:
    """*value* as an object; absent (None) counts as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidDocument(what, f"{field} is not an object")
    return value


def _loads(raw: bytes, what: str) -> Any:
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        if b"\\u" in raw:  # escapes can spell half a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InvalidDocument(what, "nested too deeply") from None
    except ValueError as error:
        raise InvalidDocument(what, str(error)) from None
    if _depth(value) > _MOST_DEPTH:
        raise InvalidDocument(what, f"nested deeper than {_MOST_DEPTH}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inner if isinstance(child, dict | list)]
