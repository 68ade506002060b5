"""Plain copies, for hosts without overlayfs.

A layer is kept as its tar; a stack of layers is unpacked once, one over the other, and
each snapshot is a copy of that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lading.layer import diff
from lading.layer.change import Change
from lading.layer.replicate import replicate
from lading.layer.unpack import unpack
from lading.linux.files import fsync_directory, fsync_file, sync_tree
from lading.linux.mounts import Mount
from lading.oci.config import chain_ids
from lading.oci.digest import Digest
from lading.snapshot import records
from lading.snapshot.erofs_ingest import ingest
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import MISSING, LayerNotFound
from lading.snapshot.trash import Later, at_once, staging, throw_away

_EMPTY = Digest.of(b"")
_FILES, _LAYERS = "fs", "layers"


class Copying:
    """The `Snapshotter` that works everywhere, slowly."""

    name = "copying"

    def __init__(self, layers: Path, active: Path, later: Later = at_once) -> None:
        """Layers lie below *layers*, snapshots below *active*; *later* deletes what is freed."""
        self._layers, self._active, self._later = layers / self.name, active, later
        self._stacks = self._layers / "stacks"
        for folder in (self._layers, self._stacks):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        active.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        if layer is not None and self.location(layer) is not None:
            return HashingReader(tar).finish(layer)
        place = staging(self._layers)
        try:
            with place.open("x+b", buffering=0) as kept:
                _, found = ingest(tar, kept, layer)  # what makes no tree is refused
                os.fsync(kept.fileno())
            place.rename(self._tar(found))
            fsync_directory(self._layers)
        finally:
            throw_away((place,), self._layers)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("[0-9a-f]*.tar"):
            yield Digest.parse(f"sha256:{path.stem}")

    def location(self, layer: Digest) -> Path | None:
        path = self._tar(layer)
        return path if path.exists() else None

    def tar(self, layer: Digest) -> Path | None:
        """The layer as it came."""
        return self.location(layer)

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        home = self._begin(key, layers)
        throw_away((home / "upper",), self._active)  # of a prepare that was cut off
        place = staging(self._active)
        place.mkdir(mode=0o700)
        try:
            replicate(self._stack(layers), place)
            place.rename(home / "upper")
        finally:
            throw_away((place,), self._active)
        at = (home / "upper").stat().st_ctime_ns
        record = records.new(self.name, layers, writable=True, at=at)
        records.write(self._active, key, record)
        return self.mounts(key)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        self._begin(key, layers)
        records.write(self._active, key, records.new(self.name, layers, writable=False))
        return self.mounts(key)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        record = records.read(self._active, key)
        if record.writable:
            return (Mount("bind", str(self._active / key / "upper"), ("bind",)),)
        return (Mount("bind", str(self._stack(record.diff_ids)), ("bind", "ro")),)

    def writable(self, key: str) -> Path:
        records.read(self._active, key)
        return self._active / key / "upper"

    def changes(self, key: str) -> Iterator[Change]:
        record = records.read(self._active, key)
        stack = self._stack(record.diff_ids)
        return diff.trees(stack, self.writable(key), untouched_since=record.copied_at)

    def remove(self, key: str | Digest) -> None:
        if isinstance(key, Digest):
            with self._lock:
                gone = (*self._stacks_of(key), self._tar(key))
                throw_away(gone, self._layers, self._later)
            return
        home = self._active / key
        (home / records.NAME).unlink(missing_ok=True)
        throw_away((home / "upper",), self._active, self._later)
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()

    def damage(self, layer: Digest, *, thoroughly: bool = False) -> str:
        path = self.location(layer)
        if path is None:
            return MISSING
        try:
            with path.open("rb") as tar:
                is_whole = not thoroughly or Digest.of_stream(tar) == layer
        except OSError as error:
            return str(error)
        return "" if is_whole else "the tar has other bytes"

    def mend(self, layer: Digest) -> bool:
        return False

    def close(self) -> None:
        """Nothing is mounted by the driver itself."""

    def _tar(self, layer: Digest) -> Path:
        return self._layers / f"{layer.hex}.tar"

    def _begin(self, key: str, layers: Sequence[Digest]) -> Path:
        records.check_free(self._active, key)
        for layer in layers:
            if self.location(layer) is None:
                raise LayerNotFound(layer)
        home = self._active / key
        home.mkdir(mode=0o710, exist_ok=True)
        return home

    def _stacks_of(self, layer: Digest) -> list[Path]:
        stacks = self._stacks.glob("[0-9a-f]*")
        return [path for path in stacks if layer.hex in (path / _LAYERS).read_text()]

    def _stack(self, layers: Sequence[Digest]) -> Path:
        """The *layers* unpacked one over the other, made the first time it is asked for."""
        name = next(reversed([*chain_ids(layers)]), _EMPTY).hex
        found = self._stacks / name
        with self._lock:
            if not found.is_dir():
                self._build(found, layers)
        return found / _FILES

    def _build(self, place: Path, layers: Sequence[Digest]) -> None:
        made = staging(self._stacks)
        (made / _FILES).mkdir(parents=True)
        (made / _FILES).chmod(0o755)  # whatever the umask is
        try:
            for layer in layers:
                self._apply(layer, made / _FILES)
            (made / _LAYERS).write_text("\n".join(layer.hex for layer in layers))
            fsync_file(made / _LAYERS)
            sync_tree(made)
            made.rename(place)
            fsync_directory(self._stacks)
        finally:
            throw_away((made,), self._stacks)

    def _apply(self, layer: Digest, root: Path) -> None:
        before = root.stat()
        try:
            with self._tar(layer).open("rb") as stream:
                describes_root = unpack(stream, root, whiteouts="apply")
        except FileNotFoundError:
            raise LayerNotFound(layer) from None
        if not describes_root:
            os.utime(root, ns=(before.st_atime_ns, before.st_mtime_ns))
