"""Plain copies, for hosts without overlayfs.

A layer is kept as its tar; a stack of layers is unpacked once, one over the other, and
each snapshot is a copy of that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import msgspec

from lading.layer import diff, pack
from lading.layer.change import Change
from lading.layer.unpack import unpack
from lading.linux.files import fsync_directory, fsync_file, sync_tree, write_durably
from lading.linux.mounts import Mount
from lading.oci.config import chain_ids
from lading.oci.digest import Digest
from lading.snapshot.hashing import HashingReader
from lading.snapshot.protocol import LayerNotFound, SnapshotExists, SnapshotNotFound
from lading.snapshot.trash import sweep, throw_away

_STAGING = ".staging-"
_RECORD = "snapshot.json"
_PIECE = 256 * 1024


class _Record(msgspec.Struct, frozen=True):
    layers: list[str]
    writable: bool
    copied_at: int  # nanoseconds: a file whose inode did not change since is the layers' own


class Copying:
    """The `Snapshotter` that works everywhere, slowly."""

    name = "copying"

    def __init__(self, layers: Path, active: Path) -> None:
        self._layers = layers / self.name
        self._stacks = self._layers / "stacks"
        self._active = active
        for folder in (self._stacks, active):
            folder.mkdir(mode=0o710, parents=True, exist_ok=True)
        sweep(self._layers, _STAGING)
        sweep(self._stacks, _STAGING)
        sweep(active)
        self._lock = threading.Lock()

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        reader = HashingReader(tar)
        if layer is not None and self.location(layer) is not None:
            return reader.finish(layer)
        staging = self._layers / f"{_STAGING}{token_hex(8)}"
        probe = self._layers / f"{_STAGING}{token_hex(8)}"
        try:
            with staging.open("xb") as file:
                while piece := reader.read(_PIECE):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            found = reader.finish(layer)
            self._check(staging, probe)
            staging.rename(self._layers / f"{found.hex}.tar")
            fsync_directory(self._layers)
        finally:
            throw_away((staging, probe), self._layers)
        return found

    def layers(self) -> Iterator[Digest]:
        for path in self._layers.glob("*.tar"):
            yield Digest.parse(f"sha256:{path.stem}")

    def location(self, layer: Digest) -> Path | None:
        path = self._layers / f"{layer.hex}.tar"
        return path if path.exists() else None

    def tar(self, layer: Digest) -> Path | None:
        """The layer as it came."""
        return self.location(layer)

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        home = self._make(key, layers, writable=True)
        staging = home / f"{_STAGING}{token_hex(4)}"
        staging.mkdir(mode=0o755)
        try:
            _copy(self._stack(layers), staging)
            staging.rename(home / "upper")
        finally:
            throw_away((staging,), self._active)
        return self._write(key, layers, writable=True)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        self._make(key, layers, writable=False)
        return self._write(key, layers, writable=False)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        record = self._record(key)
        if record.writable:
            return (Mount("bind", str(self._active / key / "upper"), ("bind",)),)
        stack = self._stack([Digest.parse(layer) for layer in record.layers])
        return (Mount("bind", str(stack), ("bind", "ro")),)

    def writable(self, key: str) -> Path:
        self._record(key)
        return self._active / key / "upper"

    def changes(self, key: str) -> Iterator[Change]:
        record = self._record(key)
        stack = self._stack([Digest.parse(layer) for layer in record.layers])
        upper = self.writable(key)
        return diff.trees(stack, upper, untouched_since=record.copied_at)

    def remove(self, key: str | Digest) -> None:
        if isinstance(key, Digest):
            stacks = self._stacks.glob("*")
            stale = [path for path in stacks if key.hex in (path / "layers").read_text()]
            throw_away((*stale, self._layers / f"{key.hex}.tar"), self._layers)
            return
        home = self._active / key
        throw_away((home / _RECORD, home / "upper"), self._active)
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()

    def close(self) -> None:
        """Nothing is mounted by the driver itself."""

    def _check(self, tar: Path, probe: Path) -> None:
        """A tar that cannot be unpacked must not become a layer."""
        probe.mkdir()
        with tar.open("rb") as stream:
            unpack(stream, probe, whiteouts="overlay")

    def _make(self, key: str, layers: Sequence[Digest], *, writable: bool) -> Path:
        home = self._active / key
        if (home / _RECORD).exists():
            raise SnapshotExists(key)
        for layer in layers:
            if self.location(layer) is None:
                raise LayerNotFound(layer)
        home.mkdir(mode=0o710, exist_ok=True)
        if writable:
            throw_away((home / "upper",), self._active)  # of a prepare that was cut off
        return home

    def _write(self, key: str, layers: Sequence[Digest], *, writable: bool) -> tuple[Mount, ...]:
        home = self._active / key
        now = (home / "upper").stat().st_ctime_ns if writable else 0
        record = _Record([str(layer) for layer in layers], writable, now)
        write_durably(home / _RECORD, msgspec.json.encode(record))
        return self.mounts(key)

    def _record(self, key: str) -> _Record:
        try:
            content = (self._active / key / _RECORD).read_bytes()
            return msgspec.json.decode(content, type=_Record)
        except (OSError, msgspec.MsgspecError):
            raise SnapshotNotFound(key) from None

    def _stack(self, layers: Sequence[Digest]) -> Path:
        """The *layers* unpacked one over the other, made the first time it is asked for."""
        name = next(reversed([*chain_ids(layers)]), Digest.of(b"")).hex
        found = self._stacks / name
        with self._lock:
            if not found.is_dir():
                self._build(found, layers)
        return found / "fs"

    def _build(self, place: Path, layers: Sequence[Digest]) -> None:
        staging = self._stacks / f"{_STAGING}{token_hex(8)}"
        (staging / "fs").mkdir(mode=0o755, parents=True)
        try:
            for layer in layers:
                tar = self.location(layer)
                if tar is None:
                    raise LayerNotFound(layer)
                with tar.open("rb") as stream:
                    unpack(stream, staging / "fs", whiteouts="apply")
            (staging / "layers").write_text("\n".join(layer.hex for layer in layers))
            fsync_file(staging / "layers")
            sync_tree(staging)
            staging.rename(place)
            fsync_directory(self._stacks)
        finally:
            throw_away((staging,), self._stacks)


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with all that a tar can say of it, through a pipe between two threads."""
    read, write = os.pipe2(os.O_CLOEXEC)
    failures: list[BaseException] = []

    def send() -> None:
        try:
            with open(write, "wb") as out:
                pack.tree(source, out)
        except BrokenPipeError:
            return  # the other end has failed, and says why
        except BaseException as error:
            failures.append(error)

    sender = threading.Thread(target=send, name="copy-tree")
    sender.start()
    try:
        with open(read, "rb") as stream:
            unpack(stream, target)
    finally:
        sender.join()
    if failures:
        raise failures[0]
