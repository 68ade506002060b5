"""TARGET and TARGET:REF as people write them, and the places they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lading.backup.layout import Layout
from lading.backup.place import Place
from lading.errors import Invalid, Unsupported

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LATER = {"s3://": "S3 buckets", "ssh://": "other hosts", "docker://": "Docker engines"}


class InvalidLocation(Invalid):
    """Raised for text that names no target, or no backup at one."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"invalid backup target {text[:200]!r}: {why}")


@dataclass(frozen=True, slots=True)
class Location:
    """A target: *text* as it was written, *path* where it is a directory."""

    text: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> Location:
        """Take ``/directory`` or ``oci:/directory``; InvalidLocation, Unsupported for others."""
        for prefix, what in _LATER.items():
            if text.startswith(prefix):
                raise Unsupported(f"{what} are not supported as backup targets yet: {text[:200]}")
        path = text.removeprefix("oci:")
        if "\0" in path or not path:
            raise InvalidLocation(text, "a directory is wanted")
        if not path.startswith("/"):
            if _is_registry(path):
                raise Unsupported(
                    f"registries are not supported as backup targets yet: {text[:200]}"
                )
            raise InvalidLocation(text, "an absolute path is wanted")
        return cls(text, Path(path))

    @property
    def identity(self) -> str:
        """The same for every way of writing it."""
        return str(self.path.resolve())

    def open(self, *, make: bool = False) -> Place:
        """The place; it must be there unless *make*.  NoSuchTarget, NotALayout."""
        return Layout(self.path, make=make)

    def ref(self, tag: str) -> str:
        """How a backup here is printed; `split` takes it as it is."""
        return f"{self.text}:{tag}"


def split(text: str) -> tuple[Location, str]:
    """The target and the tag of ``TARGET:REF``, which splits at the last colon; InvalidLocation."""
    target, colon, tag = text.rpartition(":")
    if not colon or not _TAG.fullmatch(tag):
        raise InvalidLocation(text, "TARGET:REF is wanted, as `lading backup ls TARGET` prints it")
    return Location.parse(target), tag


def is_ref(text: str) -> bool:
    """Whether it can only be meant as TARGET:REF."""
    target, colon, tag = text.rpartition(":")
    return bool(colon) and target != "oci" and _TAG.fullmatch(tag) is not None


def tag_of(name: str, stamp: str) -> str:
    """What a container's backup is called."""
    return f"{name[:100].lstrip('.-')}-{stamp}"


def _is_registry(text: str) -> bool:
    first, slash, _ = text.partition("/")
    return bool(slash) and ("." in first.strip(".") or ":" in first or first == "localhost")
