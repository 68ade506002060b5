"""A place on a shelf: blobs as in an OCI layout, and one file for each name.

Names are files of their own, since not every service changes a file only if it is what it
was; so writers never undo each other.  index.json is made from them, for other readers.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import BinaryIO, cast

from lading.backup.far import FarBlob, checked
from lading.backup.layout import NoSuchTarget, NotALayout, index, row, tag_in
from lading.backup.place import DamagedAtTarget, Rename
from lading.backup.presence import SWEEPERS, WRITERS, Presence
from lading.backup.shelf import NotOnShelf, Shelf
from lading.errors import Conflict
from lading.image.oci_layout import VERSION
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, encode, parse

_INDEX, _LAYOUT = "index.json", "oci-layout"
_OWN, _NAMES = ".lading", ".lading/names"
_BLOBS = ("blobs/sha256", "blobs/sha512")
_AT_ONCE = 8
_TRIES = 8


class KeptAsDirectory(Conflict):
    """Raised for a layout whose index is its own, not made from names."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} was made as a directory: use it as one, or name another target")


class Shelved:
    """The `Place` on a `Shelf`."""

    def __init__(self, shelf: Shelf, where: str, *, make: bool = False) -> None:
        """NoSuchTarget unless *make*; NotALayout, KeptAsDirectory."""
        self._shelf, self._where = shelf, where
        self._presence = Presence(shelf, where)
        if shelf.size(_LAYOUT) is None:
            if not make:
                raise NoSuchTarget(where)
            self._make()
        elif not shelf.items(_NAMES) and self._has_index():
            raise KeptAsDirectory(where)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        key, size = _blob(descriptor.digest), descriptor.size
        found = self._shelf.size(key)
        if found != size:
            why = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise DamagedAtTarget(descriptor, why)

        def fetch(at: int, length: int) -> bytes:
            try:
                whole = (at, length) == (0, size)
                return self._shelf.read(key) if whole else self._shelf.piece(key, at, length)
            except NotOnShelf:
                raise DamagedAtTarget(descriptor, "is missing") from None

        return cast(BinaryIO, FarBlob(size, fetch))

    def has(self, descriptor: Descriptor) -> bool:
        return self._shelf.size(_blob(descriptor.digest)) == descriptor.size

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        with checked(stream, descriptor) as local:
            self._shelf.write(_blob(descriptor.digest), local, descriptor.size)

    def names(self) -> Mapping[str, tuple[Descriptor, str]]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._row, self._tags()))
        return dict(each for each in found if each is not None)

    def rename(self, change: Rename, artifact_type: str) -> None:
        for _ in range(_TRIES):
            before = {tag: descriptor for tag, (descriptor, _) in self.names().items()}
            wanted = change(before)
            self._presence.check()
            if self._set(before, wanted, artifact_type):
                break
        else:
            raise Conflict(f"{self._where} is changed by others all the time: try again")
        for tag in sorted(tag for tag, descriptor in wanted.items() if descriptor is None):
            self._shelf.remove(_name(tag))
        self._publish()

    def held(self, *, alone: bool = False) -> AbstractContextManager[None]:
        return self._presence.held(alone=alone)

    def sweep(self, needed: Collection[Digest]) -> tuple[int, int]:
        kept = {_blob(digest) for digest in needed}
        count = freed = 0
        for item in self._shelf.items(_OWN):
            if item.key.startswith(f"{_OWN}/part-") and self._presence.is_stale(item):
                self._shelf.remove(item.key)
        for folder in _BLOBS:
            for item in self._shelf.items(folder):
                if item.key not in kept:
                    self._presence.check()
                    self._shelf.remove(item.key)
                    count, freed = count + 1, freed + item.size
        return count, freed

    def _make(self) -> None:
        tops = {item.key.partition("/")[0] for item in self._shelf.items("")}
        if tops - {_OWN, "blobs", _INDEX, _LAYOUT}:
            raise NotALayout(self._where)
        self._shelf.prepare((_NAMES, WRITERS, SWEEPERS, *_BLOBS))
        if self._shelf.size(_INDEX) is None:
            self._write(_INDEX, index([]))
        self._write(_LAYOUT, encode({"imageLayoutVersion": VERSION}))

    def _has_index(self) -> bool:
        try:
            document = parse(self._shelf.read(_INDEX), _INDEX, most=4 * MOST_BYTES)
        except NotOnShelf:
            return False
        return bool(document.get("manifests"))

    def _tags(self) -> list[str]:
        return [item.key.rpartition("/")[2] for item in self._shelf.items(_NAMES)]

    def _row(self, tag: str) -> tuple[str, tuple[Descriptor, str]] | None:
        """What a name says; None where it went away meanwhile."""
        try:
            document = parse(self._shelf.read(_name(tag)), f"name {tag}")
        except NotOnShelf:
            return None
        if tag_in(document) != tag:
            raise Conflict(f"the name {tag[:200]} at {self._where} is another's")
        return tag, (Descriptor.parse(document, "name"), str(document.get("artifactType") or ""))

    def _set(
        self,
        before: Mapping[str, Descriptor],
        wanted: Mapping[str, Descriptor | None],
        artifact_type: str,
    ) -> bool:
        """Set the names, or none of them; False where another took one of them first."""
        made: list[str] = []
        for tag, descriptor in wanted.items():
            if descriptor is None or _same(before.get(tag), descriptor):
                continue
            content = encode(row(tag, descriptor, artifact_type))
            if tag in before:
                self._write(_name(tag), content)
            elif self._shelf.claim(_name(tag), content):
                made.append(tag)
            else:
                for each in made:
                    self._shelf.remove(_name(each))
                return False
        return True

    def _publish(self) -> None:
        """Make the index what the names are; again, where they changed meanwhile."""
        for _ in range(_TRIES):
            names = self.names()
            rows = [row(tag, found, kind) for tag, (found, kind) in sorted(names.items())]
            self._write(_INDEX, index(rows))
            if sorted(self._tags()) == sorted(names):
                return

    def _write(self, key: str, content: bytes) -> None:
        self._shelf.write(key, io.BytesIO(content), len(content))


def _same(one: Descriptor | None, other: Descriptor) -> bool:
    return one is not None and one.digest == other.digest


def _blob(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _name(tag: str) -> str:
    if "/" in tag or tag in ("", ".", ".."):
        raise Conflict(f"no such name: {tag[:200]!r}")
    return f"{_NAMES}/{tag}"
