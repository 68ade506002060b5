"""Snapshots that overlayfs stacks: a writable directory over directories that are layers.

Where a layer's files are is the driver's business: it hands in `lower`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import msgspec

from lading.layer import diff
from lading.layer.change import Change
from lading.linux.files import write_durably
from lading.linux.mounts import Mount, perform, unmount
from lading.oci.digest import Digest
from lading.snapshot.protocol import SnapshotExists, SnapshotNotFound
from lading.snapshot.trash import throw_away

_RECORD = "snapshot.json"
# What overlayfs would write into the layer only to save work, and readers must not need.
_PLAIN = ("index=off", "redirect_dir=off", "metacopy=off")


class _Record(msgspec.Struct, frozen=True):
    layers: list[str]
    writable: bool


class ActiveSnapshots:
    """The snapshots below one directory, each in a folder named by its key."""

    def __init__(self, folder: Path, lower: Callable[[Digest], Path]) -> None:
        """*lower* answers where a layer's files can be read, LayerNotFound if nowhere."""
        self._folder, self._lower = folder, lower
        folder.mkdir(mode=0o710, parents=True, exist_ok=True)

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        """Make a snapshot with a writable layer."""
        return self._make(key, layers, writable=True)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        """Make a snapshot to look at."""
        return self._make(key, layers, writable=False)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        record = self._record(key)
        lowers = [self._lower(Digest.parse(layer)) for layer in record.layers]
        return (self._mount(key, lowers, writable=record.writable),)

    def writable(self, key: str) -> Path:
        """The directory that holds what the snapshot changed."""
        self._record(key)
        return self._folder / key / "upper"

    def changes(self, key: str) -> Iterator[Change]:
        upper = self.writable(key)
        with self._lowers_mounted(key) as lower:
            yield from diff.overlay(upper, lower)

    def remove(self, key: str) -> None:
        """Free the snapshot; what else its folder holds stays."""
        home = self._folder / key
        with contextlib.suppress(FileNotFoundError):
            (home / _RECORD).unlink()
        throw_away((home / name for name in ("upper", "work", "empty")), self._folder)
        with contextlib.suppress(OSError):
            home.rmdir()

    def _make(self, key: str, layers: Sequence[Digest], *, writable: bool) -> tuple[Mount, ...]:
        home = self._folder / key
        if (home / _RECORD).exists():
            raise SnapshotExists(key)
        lowers = [self._lower(layer) for layer in layers]
        home.mkdir(mode=0o710, exist_ok=True)
        for name in ("upper", "work", "empty"):
            (home / name).mkdir(mode=0o755, exist_ok=True)
        if lowers:
            _like(home / "upper", lowers[-1])
        record = _Record([str(layer) for layer in layers], writable)
        write_durably(home / _RECORD, msgspec.json.encode(record))
        return (self._mount(key, lowers, writable=writable),)

    def _mount(self, key: str, lowers: Sequence[Path], *, writable: bool) -> Mount:
        home = self._folder / key
        if not lowers:
            return Mount("bind", str(home / "upper"), ("bind",) if writable else ("bind", "ro"))
        if writable:
            own = (f"upperdir={home / 'upper'}", f"workdir={home / 'work'}")
            return overlay(lowers, *own)
        return overlay([home / "empty", *lowers], "ro")

    def _record(self, key: str) -> _Record:
        try:
            content = (self._folder / key / _RECORD).read_bytes()
            return msgspec.json.decode(content, type=_Record)
        except (OSError, msgspec.MsgspecError):
            raise SnapshotNotFound(key) from None

    @contextmanager
    def _lowers_mounted(self, key: str) -> Iterator[Path]:
        """The layers below the snapshot as one tree, for as long as the context lasts."""
        home = self._folder / key
        lowers = [self._lower(Digest.parse(layer)) for layer in self._record(key).layers]
        if not lowers:
            yield home / "empty"
            return
        place = home / f"lower-{token_hex(4)}"
        place.mkdir(mode=0o700)
        try:
            perform((overlay([home / "empty", *lowers], "ro"),), place)
            try:
                yield place
            finally:
                unmount(place, lazy=True)
        finally:
            place.rmdir()


def overlay(lowers: Sequence[Path], *options: str) -> Mount:
    """Stack *lowers*, bottom first."""
    layers = [f"lowerdir+={lower}" for lower in reversed(lowers)]  # the kernel wants the top first
    return Mount("overlay", "overlay", (*layers, *options, *_PLAIN))


def _like(directory: Path, other: Path) -> None:
    """Give *directory* the mode and owner of *other*: it will be the container's root."""
    found = other.stat()
    os.chown(directory, found.st_uid, found.st_gid)
    directory.chmod(found.st_mode & 0o7777)
