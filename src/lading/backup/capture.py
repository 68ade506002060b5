"""Capture one part: everything once, then again only what changed meanwhile.

A file that is as it was, by its times, size and inode, is not opened again.  Times alone would
miss a write through a mapping whose page was dirty before: so everything is written back first,
and what has changed since then is looked at again, however it seems.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lading.backup import looking, tree
from lading.backup.looking import Found, Gone
from lading.backup.packing import Chunk, Pack, Packing
from lading.backup.tree import Entry, Kind, Run
from lading.linux.files import sync_tree
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_GRAIN = 50_000_000  # nanoseconds: how far a file's times may lie behind the clock
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Listing = Callable[[int], Iterable[Found]]
"""What there is to capture, given the top directory."""


@dataclass(frozen=True, slots=True)
class Before:
    """A part as the latest backup has it: entries by path, and its packs' descriptors."""

    entries: Mapping[bytes, Entry]
    packs: list[Pack]

    @classmethod
    def of(cls, found: tree.Tree, sizes: Mapping[Digest, Descriptor]) -> Before:
        by_path = {entry.path: entry for entry in found.entries}
        return cls(by_path, [Pack(sizes[digest]) for digest in found.packs])


@dataclass(frozen=True, slots=True)
class _Row:
    """A captured file; its content are new chunks, or runs of an earlier backup."""

    entry: Entry
    device: int = 0
    links: int = 1
    chunks: tuple[Chunk, ...] = ()
    runs: tuple[tuple[Pack, int, int], ...] = ()


class Captured(msgspec.Struct, frozen=True):
    """A part whose content is stored: its entries, and the packs that they name."""

    packs: list[Descriptor]
    entries: list[Entry]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def encoded(self) -> bytes:
        return tree.encode([pack.digest for pack in self.packs], self.entries)


class PartCapture:
    """One part on its way: `look`, then `look` again while nothing moves, then `finish`."""

    def __init__(
        self, top: Path, listing: Listing, packing: Packing, before: Before | None = None
    ) -> None:
        self._top, self._listing, self._packing = top, listing, packing
        self._before = before or Before({}, [])
        self._rows: dict[bytes, _Row] = {}
        self._inodes: dict[tuple[int, int], _Row] = {}
        self._clean = 0  # what changed since then may change without a trace

    def look(self) -> None:
        """Capture what is not captured as it is now."""
        with self._open() as top:
            if not self._clean:
                self._clean = time.time_ns() - _GRAIN
                sync_tree(self._top)
            known, self._inodes = self._rows, {}
            self._rows = dict(self._looked(top, known))

    def finish(self) -> Captured:
        """After the packing is finished: the tree's entries."""
        table = _Packs()
        firsts: dict[tuple[int, int], bytes] = {}
        entries = [self._entry(row, table, firsts) for row in self._rows.values()]
        return Captured(table.descriptors, entries)

    @contextmanager
    def _open(self) -> Iterator[int]:
        top = os.open(self._top, _DIRECTORY)
        try:
            yield top
        finally:
            os.close(top)

    def _looked(self, top: int, known: Mapping[bytes, _Row]) -> Iterator[tuple[bytes, _Row]]:
        for path, found in self._listing(top):
            if found is None:
                yield path, _Row(Entry(path, Kind.DELETED))
                continue
            try:
                yield path, self._row(top, path, found, known.get(path))
            except Gone:
                continue

    def _row(self, top: int, path: bytes, found: os.stat_result, last: _Row | None) -> _Row:
        identity = (found.st_dev, found.st_ino)
        is_shared = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
        if is_shared and identity in self._inodes:
            other = self._inodes[identity]
            entry = msgspec.structs.replace(other.entry, path=path)
            return _Row(entry, other.device, other.links, other.chunks, other.runs)
        row = self._kept(last, found) or self._again(path, found) or self._new(top, path, found)
        if is_shared:
            self._inodes[identity] = row
        return row

    def _kept(self, last: _Row | None, found: os.stat_result) -> _Row | None:
        """What the look before this one captured, where it surely is the same."""
        if last is None or not last.entry.settled or not _is_same(last.entry, found):
            return None
        return last if last.links == found.st_nlink else None

    def _again(self, path: bytes, found: os.stat_result) -> _Row | None:
        """What the backup before this one captured, where it surely is the same."""
        entry = self._before.entries.get(path)
        if entry is not None and entry.kind == Kind.HARDLINK:
            entry = self._before.entries.get(entry.target)
        if entry is None or not entry.settled or not _is_same(entry, found):
            return None
        runs = tuple((self._before.packs[pack], first, n) for pack, first, n in entry.runs)
        kept = msgspec.structs.replace(entry, path=path, runs=[])
        return _Row(kept, found.st_dev, found.st_nlink, runs=runs)

    def _new(self, top: int, path: bytes, found: os.stat_result) -> _Row:
        if stat.S_ISREG(found.st_mode):
            return self._new_file(top, path)
        entry = looking.described(top, path, found)
        return _Row(self._settled(entry), found.st_dev, found.st_nlink)

    def _new_file(self, top: int, path: bytes) -> _Row:
        file = looking.opened(top, path)
        try:
            found = os.fstat(file)
            pieces = looking.extents(file, found)
            entry = looking.entry(
                path, Kind.FILE, found, xattrs=looking.attributes(file), extents=pieces
            )
            whole = [(0, found.st_size)] if pieces is None else pieces
            chunks = tuple(self._packing.store(looking.reader(file, whole)))
        finally:
            os.close(file)
        return _Row(self._settled(entry), found.st_dev, found.st_nlink, chunks)

    def _settled(self, entry: Entry) -> Entry:
        return msgspec.structs.replace(entry, settled=entry.ctime < self._clean)

    def _entry(self, row: _Row, table: _Packs, firsts: dict[tuple[int, int], bytes]) -> Entry:
        entry = row.entry
        if row.links > 1 and entry.kind not in (Kind.DIRECTORY, Kind.DELETED):
            first = firsts.setdefault((row.device, entry.inode), entry.path)
            if first != entry.path:
                return msgspec.structs.replace(
                    entry, kind=int(Kind.HARDLINK), target=first, size=0, extents=None, xattrs={}
                )
        if entry.kind != Kind.FILE:
            return entry
        return msgspec.structs.replace(entry, runs=table.runs(row))


def layout(files: Iterable[tuple[Entry, tuple[Chunk, ...]]]) -> Captured:
    """Files that are stored as they are, with their chunks."""
    table = _Packs()
    entries = [
        msgspec.structs.replace(entry, runs=table.runs(_Row(entry, chunks=chunks)))
        for entry, chunks in files
    ]
    return Captured(table.descriptors, entries)


class _Packs:
    """The packs that a tree names, in the order in which they come."""

    def __init__(self) -> None:
        self.descriptors: list[Descriptor] = []
        self._numbers: dict[Digest, int] = {}

    def runs(self, row: _Row) -> list[Run]:
        found: list[Run] = []
        for pack, first, count in (*row.runs, *((c.pack, c.number, 1) for c in row.chunks)):
            assert pack is not None and pack.descriptor is not None
            number = self._number(pack.descriptor)
            if found and found[-1][0] == number and sum(found[-1][1:]) == first:
                found[-1] = (number, found[-1][1], found[-1][2] + count)
            else:
                found.append((number, first, count))
        return found

    def _number(self, descriptor: Descriptor) -> int:
        number = self._numbers.setdefault(descriptor.digest, len(self.descriptors))
        if number == len(self.descriptors):
            self.descriptors.append(descriptor)
        return number


def _is_same(entry: Entry, found: os.stat_result) -> bool:
    kind = tree.FORMATS.get(stat.S_IFMT(found.st_mode))
    size = found.st_size if kind is Kind.FILE else 0
    return (entry.kind, entry.ctime, entry.mtime, entry.inode, entry.size) == (
        kind,
        found.st_ctime_ns,
        found.st_mtime_ns,
        found.st_ino,
        size,
    )
