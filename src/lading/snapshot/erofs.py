"""Layers that are never unpacked: each one tar, and beside it an EROFS index that points into it.

The kernel mounts the index with the tar as its extra device, and overlayfs stacks the
mounts.  The format is told in docs/erofs-layers.md.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from lading.errors import Corrupt
from lading.layer.change import Change
from lading.linux.files import fsync_directory, write_durably
from lading.linux.mounts import Mount
from lading.oci.digest import Digest
from lading.snapshot import erofs_image
from lading.snapshot.erofs_ingest import ingest
from lading.snapshot.erofs_mounts import FILES, INDEX, TAR, LayerMounts
from lading.snapshot.flushing import Flush
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import LayerNotFound
from lading.snapshot.stacking import StackedSnapshots
from lading.snapshot.trash import Later, at_once, staging, throw_away

_RECORD = "layer.json"


class DamagedLayer(Corrupt):
    """Raised where a layer's files are not what was kept; adding the layer again mends it."""

    def __init__(self, layer: Digest, why: str) -> None:
        super().__init__(f"layer {layer} is damaged ({why}): load or pull its image again")
        self.layer = layer


class _Record(msgspec.Struct, frozen=True):
    """What the files were when they were acknowledged; sizes in bytes."""

    tar_size: int
    index_size: int
    index_sha256: str


class Erofs:
    """The `Snapshotter` for kernels that know EROFS with blocks of 512 bytes (6.4 and later)."""

    name = "erofs"

    def __init__(self, layers: Path, active: Path, later: Later = at_once) -> None:
        """Layers lie below *layers*, snapshots below *active*; *later* deletes what is freed."""
        self._layers = layers / self.name
        self._layers.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._later = later
        self._mounts = LayerMounts(self._layers)
        self._snapshots = StackedSnapshots(active, self.name, self._files, later)
        self._lock = threading.Lock()

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        if layer is not None and self._damage(layer) is None:
            return HashingReader(tar).finish(layer)
        place = staging(self._layers)
        (place / FILES).mkdir(mode=0o700, parents=True)
        try:
            found = _build(place, tar, layer)
            self._keep(place, found)
        finally:
            throw_away((place,), self._layers)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("[0-9a-f]*"):
            yield Digest.parse(f"sha256:{path.name}")

    def location(self, layer: Digest) -> Path | None:
        """Where the layer lies; None also where it is damaged, so that it is added again."""
        return None if self._damage(layer) else self._layers / layer.hex

    def tar(self, layer: Digest) -> Path | None:
        """The layer as it came."""
        return self._layers / layer.hex / TAR if self.location(layer) else None

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._snapshots.make(key, layers, writable=True)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._snapshots.make(key, layers, writable=False)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        return self._snapshots.mounts(key)

    def writable(self, key: str) -> Path:
        return self._snapshots.writable(key)

    def changes(self, key: str) -> Iterator[Change]:
        return self._snapshots.changes(key)

    def remove(self, key: str | Digest) -> None:
        if isinstance(key, Digest):
            with self._lock:
                self._throw_away(key)
        else:
            self._snapshots.remove(key)
            self._mounts.tidy()

    def close(self) -> None:
        self._mounts.close()

    def _keep(self, place: Path, layer: Digest) -> None:
        with self._lock:
            if self._damage(layer) is None:  # another add was first
                return
            self._throw_away(layer)
            place.rename(self._layers / layer.hex)
            fsync_directory(self._layers)

    def _throw_away(self, layer: Digest) -> None:
        self._mounts.drop(layer)
        throw_away((self._layers / layer.hex,), self._layers, self._later)

    def _files(self, layer: Digest) -> Path:
        """Where the layer is mounted; LayerNotFound, DamagedLayer."""
        return self._mounts.at(layer, lambda: self._verify(layer))

    def _verify(self, layer: Digest) -> None:
        """Look at the layer closely, before it is mounted; LayerNotFound, DamagedLayer."""
        home = self._layers / layer.hex
        if not home.is_dir():
            raise LayerNotFound(layer)
        damage = self._damage(layer, thoroughly=True)
        if damage is not None:
            raise DamagedLayer(layer, damage)

    def _damage(self, layer: Digest, *, thoroughly: bool = False) -> str | None:
        """What is wrong with the layer's files, as far as sizes and the index tell."""
        home = self._layers / layer.hex
        try:
            kept = msgspec.json.decode((home / _RECORD).read_bytes(), type=_Record)
            if (home / TAR).stat().st_size != kept.tar_size:
                return "the tar has another size"
            if (home / INDEX).stat().st_size != kept.index_size:
                return "the index has another size"
        except (OSError, msgspec.MsgspecError) as error:
            return str(error)
        if thoroughly and _sha256(home / INDEX) != kept.index_sha256:
            return "the index has other bytes"
        return None


def _build(place: Path, tar: BinaryIO, layer: Digest | None) -> Digest:
    """Make the layer's files in *place*, durably."""
    with (place / TAR).open("x+b", buffering=0) as kept:
        tree, found = ingest(tar, kept, layer)
        size = os.fstat(kept.fileno()).st_size
        with Flush(kept.fileno()), (place / INDEX).open("x+b") as index:
            name = bytes.fromhex(found.hex)
            erofs_image.write(tree.root, index, kept, tar_bytes=size, name=name)
            index.flush()
            os.fsync(index.fileno())
    index_size = (place / INDEX).stat().st_size
    record = _Record(size, index_size, _sha256(place / INDEX))
    write_durably(place / _RECORD, msgspec.json.encode(record))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
