"""Layers that are never unpacked: each one tar, and beside it an EROFS index that points into it.

The kernel mounts the index with the tar as its extra device, and overlayfs stacks the
mounts.  The format is told in docs/erofs-layers.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lading.errors import Corrupt, Invalid
from lading.layer.change import Change
from lading.linux.files import fsync_directory
from lading.linux.mounts import Mount
from lading.oci.digest import Digest
from lading.snapshot import erofs_check, erofs_image
from lading.snapshot.erofs_ingest import ingest
from lading.snapshot.erofs_mounts import FILES, INDEX, TAR, LayerMounts
from lading.snapshot.erofs_tree import Tree
from lading.snapshot.flushing import Flush
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import MISSING, LayerNotFound
from lading.snapshot.stacking import StackedSnapshots
from lading.snapshot.trash import Later, at_once, staging, throw_away


class DamagedLayer(Corrupt):
    """Raised where a layer's files are not what was kept; adding the layer again mends it."""

    def __init__(self, layer: Digest, why: str) -> None:
        super().__init__(f"layer {layer} is damaged ({why}): load or pull its image again")
        self.layer = layer


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
        if layer is not None and not self.damage(layer):
            return HashingReader(tar).finish(layer)
        with self._new() as place:
            found = _build(place, tar, layer)
            self._keep(place, found)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("[0-9a-f]*"):
            yield Digest.parse(f"sha256:{path.name}")

    def location(self, layer: Digest) -> Path | None:
        """Where the layer lies; None also where it is damaged, so that it is added again."""
        home = self._layers / layer.hex
        return None if erofs_check.glance(home) else home

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

    def damage(self, layer: Digest, *, thoroughly: bool = False) -> str:
        home = self._layers / layer.hex
        if not home.is_dir():
            return MISSING
        if thoroughly:
            return erofs_check.read(home, layer)
        # What is mounted was looked at then.
        return erofs_check.glance(home) if self._mounts.has(layer) else self._look(layer)

    def mend(self, layer: Digest) -> bool:
        """Make the index anew; that works where the tar is what it was."""
        try:
            with self._new() as place:
                (place / TAR).hardlink_to(self._layers / layer.hex / TAR)
                _index_again(place, layer)
                self._keep(place, layer)
        except (OSError, Corrupt, Invalid):
            return False
        return True

    @contextmanager
    def _new(self) -> Iterator[Path]:
        """A place to make a layer in, gone at the end unless it was kept."""
        place = staging(self._layers)
        try:
            (place / FILES).mkdir(mode=0o700, parents=True)
            yield place
        finally:
            throw_away((place,), self._layers)

    def _keep(self, place: Path, layer: Digest) -> None:
        """Give the layer made in *place* its name, unless one that is whole has it."""
        seen = self._identity(layer)
        is_whole = seen is not None and not erofs_check.read(self._layers / layer.hex, layer)
        with self._lock:
            is_new = self._identity(layer) != seen  # another add was first
            if (is_whole or is_new) and self.location(layer) is not None:
                return
            self._throw_away(layer)
            place.rename(self._layers / layer.hex)
            fsync_directory(self._layers)

    def _identity(self, layer: Digest) -> int | None:
        """What tells the layer that is here from one that comes later under its name."""
        try:
            return (self._layers / layer.hex).stat().st_ino
        except FileNotFoundError:
            return None

    def _throw_away(self, layer: Digest) -> None:
        self._mounts.drop(layer)
        throw_away((self._layers / layer.hex,), self._layers, self._later)

    def _files(self, layer: Digest) -> Path:
        """Where the layer is mounted; LayerNotFound, DamagedLayer."""
        return self._mounts.at(layer, lambda: self._verify(layer))

    def _verify(self, layer: Digest) -> None:
        """Look at the layer closely, before it is mounted; LayerNotFound, DamagedLayer."""
        if not (self._layers / layer.hex).is_dir():
            raise LayerNotFound(layer)
        damage = self._look(layer)
        if damage:
            raise DamagedLayer(layer, damage)

    def _look(self, layer: Digest) -> str:
        return erofs_check.look(self._layers / layer.hex, layer)


def _build(place: Path, tar: BinaryIO, layer: Digest | None) -> Digest:
    """Make the layer's files in *place*, durably."""
    with (place / TAR).open("x+b", buffering=0) as kept:
        tree, found = ingest(tar, kept, layer)
        with Flush(kept.fileno()):
            _write_index(place, tree, kept, found)
    erofs_check.note(place)
    return found


def _index_again(place: Path, layer: Digest) -> None:
    """Make the files that are missing beside the tar in *place*, durably; Corrupt, Invalid."""
    with (place / TAR).open("rb") as kept, open(os.devnull, "wb", buffering=0) as nowhere:
        tree, found = ingest(kept, nowhere, layer)
        _write_index(place, tree, kept, found)
    erofs_check.note(place)


def _write_index(place: Path, tree: Tree, tar: BinaryIO, layer: Digest) -> None:
    size, name = os.fstat(tar.fileno()).st_size, bytes.fromhex(layer.hex)
    with (place / INDEX).open("x+b") as index:
        erofs_image.write(tree.root, index, tar, tar_bytes=size, name=name)
        index.flush()
        os.fsync(index.fileno())
