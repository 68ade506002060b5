"""Layers unpacked into directories, stacked by overlayfs."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from lading.layer.change import Change
from lading.layer.unpack import unpack
from lading.linux.files import fsync_directory, sync_tree
from lading.linux.mounts import Mount
from lading.oci.digest import Digest
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import MISSING, LayerNotFound
from lading.snapshot.stacking import StackedSnapshots, mark_bare
from lading.snapshot.trash import Later, at_once, staging, throw_away

_BUFFER = 256 * 1024
_FILES = "fs"


class Overlay:
    """The `Snapshotter` for kernels without EROFS."""

    name = "overlay"

    def __init__(self, layers: Path, active: Path, later: Later = at_once) -> None:
        """Layers lie below *layers*, snapshots below *active*; *later* deletes what is freed."""
        self._layers = layers / self.name
        self._layers.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._later = later
        self._snapshots = StackedSnapshots(active, self.name, self._files, later)
        self._lock = threading.Lock()

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        reader = HashingReader(tar)
        if layer is not None and self.location(layer) is not None:
            return reader.finish(layer)
        place = staging(self._layers)
        place.mkdir(mode=0o700)
        try:
            self._unpack(reader, place / _FILES)
            found = reader.finish(layer)
            # One flush for all of it: files of zero bytes after a power cut are what others had.
            sync_tree(place)
            self._keep(place, found)
        finally:
            throw_away((place,), self._layers)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("[0-9a-f]*"):
            yield Digest.parse(f"sha256:{path.name}")

    def location(self, layer: Digest) -> Path | None:
        path = self._layers / layer.hex
        return path if (path / _FILES).is_dir() else None

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
            throw_away((self._layers / key.hex,), self._layers, self._later)
        else:
            self._snapshots.remove(key)

    def damage(self, layer: Digest, *, thoroughly: bool = False) -> str:
        """Only whether it is here: what its files were is not known any more."""
        return MISSING if self.location(layer) is None else ""

    def mend(self, layer: Digest) -> bool:
        return False

    def close(self) -> None:
        """Nothing is mounted by the driver itself."""

    def _unpack(self, reader: HashingReader, target: Path) -> None:
        target.mkdir()
        target.chmod(0o755)  # whatever the umask is
        buffered = cast(BinaryIO, io.BufferedReader(reader, _BUFFER))
        if not unpack(buffered, target, whiteouts="overlay"):
            mark_bare(target)

    def _keep(self, place: Path, layer: Digest) -> None:
        with self._lock:
            if self.location(layer) is None:  # another add may have been first
                throw_away((self._layers / layer.hex,), self._layers, self._later)
                place.rename(self._layers / layer.hex)
                fsync_directory(self._layers)

    def _files(self, layer: Digest) -> Path:
        if self.location(layer) is None:
            raise LayerNotFound(layer)
        return self._layers / layer.hex / _FILES
