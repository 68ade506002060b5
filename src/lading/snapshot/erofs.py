"""Layers that are never unpacked: each one tar, and beside it an EROFS index that points into it.

The kernel mounts the index with the tar as its extra device, and overlayfs stacks the
mounts.  A layer is mounted when a snapshot first needs it and stays mounted for all.
The format is told in docs/erofs-layers.md.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import msgspec

from lading.errors import Corrupt
from lading.layer.change import Change
from lading.linux.files import fsync_directory, write_durably
from lading.linux.mounts import Mount, perform, table, unmount, unmount_below
from lading.oci.digest import Digest
from lading.snapshot import erofs_image
from lading.snapshot.active import ActiveSnapshots
from lading.snapshot.erofs_ingest import ingest
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import LayerNotFound
from lading.snapshot.trash import sweep, throw_away

_STAGING = ".staging-"
_TAR, _INDEX, _RECORD, _FILES = "layer.tar", "layer.erofs", "layer.json", "fs"


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
    """The `Snapshotter` for kernels that mount EROFS from files (6.12 and later)."""

    name = "erofs"

    def __init__(self, layers: Path, active: Path) -> None:
        self._layers = layers / self.name
        self._layers.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(self._layers, _STAGING)
        self._active = ActiveSnapshots(active, self._files)
        sweep(active)
        self._lock = threading.Lock()
        below = str(self._layers) + "/"
        self._mounted = {e.target for e in table() if str(e.target).startswith(below)}

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        if layer is not None and self._damage(layer) is None:
            return HashingReader(tar).finish(layer)
        staging = self._layers / f"{_STAGING}{token_hex(8)}"
        staging.mkdir(mode=0o700)
        try:
            found = self._build(staging, tar, layer)
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

    def tar(self, layer: Digest) -> Path | None:
        """The layer as it came."""
        path = self._layers / layer.hex / _TAR
        return path if path.exists() else None

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
        if not isinstance(key, Digest):
            self._active.remove(key)
            return
        home = self._layers / key.hex
        with self._lock:
            if home / _FILES in self._mounted:
                unmount(home / _FILES, lazy=True)
                self._mounted.discard(home / _FILES)
        throw_away((home,), self._layers)

    def close(self) -> None:
        with self._lock:
            unmount_below(self._layers)
            self._mounted.clear()

    def _build(self, staging: Path, tar: BinaryIO, layer: Digest | None) -> Digest:
        (staging / _FILES).mkdir(mode=0o755)
        with (staging / _TAR).open("x+b", buffering=0) as kept:
            tree, found = ingest(tar, kept, layer)
            flush = threading.Thread(target=os.fsync, args=(kept.fileno(),), name="fsync-layer")
            flush.start()
            try:
                size = os.fstat(kept.fileno()).st_size
                with (staging / _INDEX).open("x+b") as index:
                    name = bytes.fromhex(found.hex)
                    erofs_image.write(tree.root, index, kept, tar_bytes=size, name=name)
                    index.flush()
                    os.fsync(index.fileno())
            finally:
                flush.join()
            os.fsync(kept.fileno())  # again, for its errors: the thread has none to tell
        write_durably(staging / _RECORD, msgspec.json.encode(_record(staging)))
        return found

    def _place(self, staging: Path, layer: Digest) -> None:
        with self._lock:
            if self._damage(layer) is None:  # another add was first
                return
            home = self._layers / layer.hex
            if home.exists():
                unmount(home / _FILES, lazy=True)
                self._mounted.discard(home / _FILES)
                throw_away((home,), self._layers)
            staging.rename(home)
            fsync_directory(self._layers)

    def _files(self, layer: Digest) -> Path:
        """Where the layer is mounted; LayerNotFound, DamagedLayer."""
        home = self._layers / layer.hex
        with self._lock:
            if home / _FILES not in self._mounted:
                damage = self._damage(layer, thoroughly=True)
                if damage == "absent":
                    raise LayerNotFound(layer)
                if damage is not None:
                    raise DamagedLayer(layer, damage)
                perform((mount(home / _INDEX, home / _TAR),), home / _FILES)
                self._mounted.add(home / _FILES)
        return home / _FILES

    def _damage(self, layer: Digest, *, thoroughly: bool = False) -> str | None:
        """What is wrong with the layer's files, as far as sizes and the index tell."""
        home = self._layers / layer.hex
        if not home.is_dir():
            return "absent"
        try:
            kept = msgspec.json.decode((home / _RECORD).read_bytes(), type=_Record)
            if (home / _TAR).stat().st_size != kept.tar_size:
                return "the tar has another size"
            if (home / _INDEX).stat().st_size != kept.index_size:
                return "the index has another size"
        except (OSError, msgspec.MsgspecError) as error:
            return str(error)
        if thoroughly and _sha256(home / _INDEX) != kept.index_sha256:
            return "the index has other bytes"
        return None


def mount(index: Path, tar: Path) -> Mount:
    """How to mount the layer that *index* describes and whose data *tar* holds."""
    return Mount("erofs", str(index), ("ro", f"device={tar}"))


def _record(staging: Path) -> _Record:
    index = staging / _INDEX
    return _Record((staging / _TAR).stat().st_size, index.stat().st_size, _sha256(index))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
