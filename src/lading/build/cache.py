"""What steps came to before: a row by key, which keeps the step's layer for the next build.

A row is written when its layer is durable and the step is complete, never before; one whose
layer is gone is forgotten when it is looked at.  The rows are roots for garbage collection.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from lading.image.layers import Layer, Layers
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.database import Database
from lading.store.leases import Lease
from lading.store.records import Records

_VERSION = "1"  # of what keys are made of


class CacheRecord(msgspec.Struct, frozen=True):
    """What a step came to.  Times are nanoseconds since 1970; no *blob*: it made no layer."""

    text: str
    created: int
    used: int
    uses: int = 1
    blob: str = ""
    diff_id: str = ""
    media_type: str = ""
    blob_size: int = 0
    size: int = 0  # of the uncompressed tar

    @property
    def layer(self) -> Layer | None:
        if not self.blob:
            return None
        descriptor = Descriptor(self.media_type, Digest(self.blob), self.blob_size)
        return Layer(Digest(self.diff_id), descriptor, self.size)


def key_of(*parts: object) -> str:
    """One key for all of *parts*, which are text, numbers, and lists and maps of them."""
    content = msgspec.json.encode([_VERSION, *parts], order="deterministic")
    return hashlib.sha256(content).hexdigest()


class Cache:
    """The rows of one engine; safe to use from any thread."""

    def __init__(self, database: Database, layers: Callable[[], Layers]) -> None:
        self._rows: Records[CacheRecord] = Records(database, "build-cache", CacheRecord)
        self._database, self._layers = database, layers

    def find(self, key: str, lease: Lease) -> CacheRecord | None:
        """The row, whose layer is here and held by *lease*; None where there is none."""
        row = self._rows.get(key)
        if row is None:
            return None
        if row.blob and self._layers().find(Digest(row.blob), lease) is None:
            self._rows.delete(key)
            return None
        return row

    def touch(self, keys: Iterable[str]) -> None:
        """Note that the rows were of use."""
        with self._database.transaction():
            for key in keys:
                row = self._rows.get(key)
                if row is not None:
                    used = msgspec.structs.replace(row, used=time.time_ns(), uses=row.uses + 1)
                    self._rows.put(key, used)

    def keep(self, keys: Iterable[str], text: str, created: int, layer: Layer | None) -> None:
        """Remember what a step came to under *keys*; durable on return."""
        row = CacheRecord(text[:4000], created, time.time_ns())
        if layer is not None:
            row = msgspec.structs.replace(
                row,
                blob=str(layer.blob.digest),
                diff_id=str(layer.diff_id),
                media_type=layer.blob.media_type,
                blob_size=layer.blob.size,
                size=layer.size,
            )
        with self._database.transaction():
            for key in keys:
                self._rows.put(key, row)

    def rows(self) -> dict[str, CacheRecord]:
        """Every row by its key."""
        return dict(self._rows.all())

    def forget(self, key: str) -> None:
        """Drop one row; its layer goes with whoever collects."""
        self._rows.delete(key)

    def held(self) -> Iterator[Digest]:
        """The blobs and layers that the rows keep."""
        for row in self._rows.all().values():
            if row.blob:
                yield Digest(row.blob)
                yield Digest(row.diff_id)
