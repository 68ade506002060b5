"""Names of things as the user writes them, made part of a path."""

from __future__ import annotations

from lading.cli.client import quote
from lading.cli.faults import Fault


def reference(name: str) -> str:
    """*name* as a segment of a path; Fault for an empty one."""
    bare = name.removeprefix("/")
    if not bare.strip():
        raise Fault("invalid name or ID: value is empty")
    if bare in (".", ".."):
        raise Fault(f"invalid name or ID: {bare}")
    return quote(bare)
