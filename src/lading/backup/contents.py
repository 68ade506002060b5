"""Read the content of files out of a backup's packs, each pack verified when it is opened."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from lading.backup.bill import Bill
from lading.backup.depot import Depot, packs_of
from lading.backup.packs import InvalidPack, PackReader
from lading.backup.place import verified
from lading.backup.sealing import namer
from lading.backup.tree import Entry, InvalidTree, Tree
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_OPEN = 32  # packs that are kept open


class Contents:
    """The files' bytes; use it as a context."""

    def __init__(self, depot: Depot, packs: Mapping[Digest, Descriptor]) -> None:
        """*packs* are those on the bill, by digest: no others are read."""
        self._place, self._keys, self._packs = depot.place, depot.keys, packs
        self._namer = namer(depot.keys)
        self._open: OrderedDict[Digest, tuple[BinaryIO, PackReader]] = OrderedDict()

    @classmethod
    def on(cls, depot: Depot, bill: Bill) -> Contents:
        """What the packs on a bill hold."""
        return cls(depot, packs_of(bill))

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *failure: object) -> None:
        for stream, _ in self._open.values():
            stream.close()
        self._open.clear()

    def pieces(self, tree: Tree, entry: Entry) -> Iterator[bytes]:
        """What the entry's extents hold, one after the other; Corrupt."""
        left = entry.stored
        for number, first, count in entry.runs:
            pack = self.pack(tree.packs[number])
            for chunk in range(first, first + count):
                content = pack.read(chunk)
                left -= len(content)
                yield content
        if left:
            raise InvalidTree(f"the content of {entry.path[:200]!r} has another length")

    def pack(self, digest: Digest) -> PackReader:
        """The pack, verified; DamagedAtTarget, InvalidPack."""
        found = self._open.get(digest)
        if found is not None:
            self._open.move_to_end(digest)
            return found[1]
        descriptor = self._packs.get(digest)
        if descriptor is None:
            raise InvalidPack(f"{digest} is not on the bill")
        stream = verified(self._place, descriptor)
        try:
            reader = PackReader(stream, descriptor.size, self._keys, self._namer)
        except BaseException:
            stream.close()
            raise
        self._open[digest] = (stream, reader)
        if len(self._open) > _OPEN:
            _, (oldest, _) = self._open.popitem(last=False)
            oldest.close()
        return reader


class Pieces(io.RawIOBase):
    """A file's content as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        self._rest = self._rest or memoryview(next(self._pieces, b""))
        piece = self._rest[: len(view)]
        view[: len(piece)] = piece
        self._rest = self._rest[len(piece) :]
        return len(piece)
