"""Layers unpacked into directories, stacked by overlayfs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, cast

from lading.layer.change import Change
from lading.layer.unpack import unpack
from lading.linux.files import fsync_directory, sync_tree
from lading.linux.mounts import Mount
from lading.oci.digest import Digest
from lading.snapshot.active import ActiveSnapshots
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import LayerNotFound
from lading.snapshot.trash import sweep, throw_away

_STAGING = ".staging-"
_BUFFER = 256 * 1024


class Overlay:
    """The `Snapshotter` for kernels without EROFS."""

    name = "overlay"

    def __init__(self, layers: Path, active: Path) -> None:
        self._layers = layers / self.name
        self._layers.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(self._layers, _STAGING)
        self._active = ActiveSnapshots(active, self._files)
        sweep(active)

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        reader = HashingReader(tar)
        if layer is not None and self.location(layer) is not None:
            return reader.finish(layer)
        staging = self._layers / f"{_STAGING}{token_hex(8)}"
        (staging / "fs").mkdir(mode=0o755, parents=True)
        try:
            buffered = cast(BinaryIO, io.BufferedReader(reader, _BUFFER))
            unpack(buffered, staging / "fs", whiteouts="overlay")
            found = reader.finish(layer)
            # One flush for all of it: files of zero bytes after a power cut are what others had.
            sync_tree(staging)
            self._place(staging, found)
        finally:
            throw_away((staging,), self._layers)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("[0-9a-f]*"):
            yield Digest.parse(f"sha256:{path.name}")

    def location(self, layer: Digest) -> Path | None:
        path = self._layers / layer.hex
        return path if path.is_dir() else None

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._active.prepare(key, layers)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._active.view(key, layers)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        return self._active.mounts(key)

    def writable(self, key: str) -> Path:
        return self._active.writable(key)

    def changes(self, key: str) -> Iterator[Change]:
        return self._active.changes(key)

    def remove(self, key: str | Digest) -> None:
        if isinstance(key, Digest):
            throw_away((self._layers / key.hex,), self._layers)
        else:
            self._active.remove(key)

    def close(self) -> None:
        """Nothing is mounted by the driver itself."""

    def _files(self, layer: Digest) -> Path:
        if self.location(layer) is None:
            raise LayerNotFound(layer)
        return self._layers / layer.hex / "fs"

    def _place(self, staging: Path, layer: Digest) -> None:
        if self.location(layer) is None:  # another add may have been first
            staging.rename(self._layers / layer.hex)
            fsync_directory(self._layers)
