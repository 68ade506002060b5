"""Field names as clients spell them: Docker reads JSON without regard to case (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args, get_type_hints

import msgspec


@lru_cache(maxsize=64)
def spellings(kind: Any) -> Mapping[str, str]:
    """The names of all fields in *kind* and below, by their lower-case form."""
    return {name.lower(): name for struct in _structs(kind, set()) for name in _names(struct)}


def _names(struct: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = struct.__struct_encode_fields__
    return names


def _structs(kind: Any, seen: set[Any]) -> Iterator[Any]:
    """*kind*, if it is a structure, and those that its fields hold."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in seen:
            seen.add(kind)
            yield kind
            for inner in get_type_hints(kind).values():
                yield from _structs(inner, seen)
        return
    for inner in get_args(kind):
        yield from _structs(inner, seen)
