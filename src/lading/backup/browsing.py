"""Look into a backup: where a path of the container is kept, and what is in it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from lading.backup.bill import BIND, IMAGE, LAYER, VOLUME, Bill, Part
from lading.backup.contents import Contents
from lading.backup.depot import Depot, Stored
from lading.backup.tree import Entry, Kind, Tree
from lading.errors import Invalid, NotFound


class NotInBackup(NotFound):
    """Raised for a path that no part of a backup has."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"no such file in the backup: {path[:300]} (files that only the image has are not "
            "listed: restore the container, or read the image)"
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A file: the part that has it, and *path* as the container sees it."""

    part: Part
    path: bytes
    entry: Entry


def files(depot: Depot, backup: Stored) -> Iterator[Listed]:
    """All files of all parts but a sealed image's layers."""
    for part in backup.bill.parts:
        if part.kind != IMAGE:
            base = _base(backup.bill, part)
            for entry in depot.tree(part).entries:
                yield Listed(part, posixpath.join(base, entry.path).rstrip(b"/") or b"/", entry)


def cat(depot: Depot, backup: Stored, path: str) -> Iterator[bytes]:
    """A file's bytes, holes included, by its path in the container; NotInBackup, Corrupt."""
    part, inner = _located(backup.bill, path)
    tree = depot.tree(part)
    entry = _entry(tree, inner, path)
    with Contents.on(depot, backup.bill) as contents:
        yield from _with_holes(entry, contents.pieces(tree, entry))


def _located(bill: Bill, path: str) -> tuple[Part, bytes]:
    """The part with the longest destination above *path*, and the path in it."""
    wanted = posixpath.normpath("/" + path).encode(errors="surrogateescape")
    wanted = b"/" + wanted.lstrip(b"/")
    best: tuple[bytes, Part] | None = None
    for part in bill.parts:
        if part.kind == IMAGE:
            continue
        base = _base(bill, part)
        covers = base == b"/" or wanted == base or wanted.startswith(base + b"/")
        if covers and (best is None or len(base) > len(best[0])):
            best = (base, part)
    if best is None:
        raise NotInBackup(path)
    return best[1], wanted[len(best[0].rstrip(b"/")) :].strip(b"/")


def _entry(tree: Tree, inner: bytes, path: str) -> Entry:
    by_path = {entry.path: entry for entry in tree.entries}
    entry = by_path.get(inner)
    if entry is not None and entry.kind == Kind.HARDLINK:
        entry = by_path.get(entry.target)
    if entry is None or entry.kind == Kind.DELETED:
        raise NotInBackup(path)
    if entry.kind != Kind.FILE:
        raise Invalid(f"not a file with content: {path[:300]}")
    return entry


def _base(bill: Bill, part: Part) -> bytes:
    """Where the container has the part."""
    if part.kind == LAYER:
        return b"/"
    for point in bill.container.mounts:
        name = point.name if part.kind == VOLUME else point.source
        if (point.kind, name) == (part.kind, part.name):
            return point.destination.encode(errors="surrogateescape")
    assert part.kind in (VOLUME, BIND)
    return b"/" + part.kind.encode() + b":" + part.name.encode()


def _with_holes(entry: Entry, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if entry.extents is None:
        yield from pieces
        return
    at, held = 0, b""
    for offset, length in entry.extents:
        yield from _zeros(offset - at)
        at = offset + length
        while length:
            held = held or next(pieces)
            yield held[:length]
            held, length = held[length:], length - len(held[:length])
    yield from _zeros(entry.size - at)


def _zeros(length: int) -> Iterator[bytes]:
    while length > 0:
        step = min(length, 1 << 20)
        yield bytes(step)
        length -= step
