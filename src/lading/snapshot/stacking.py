"""Snapshots that overlayfs stacks: a writable directory over directories that are layers.

How a layer becomes a directory is the drivers' business.  Overlayfs does not look at the
topmost directories of its layers, so what a layer says of the root is seen to here: its
attributes, and that it hides everything below.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lading.layer import diff
from lading.layer.change import Change
from lading.layer.whiteouts import OPAQUE_XATTR
from lading.linux.mounts import Mount, perform, unmount
from lading.oci.digest import Digest
from lading.snapshot import records
from lading.snapshot.records import SnapshotRecord
from lading.snapshot.trash import Later, at_once, staging, throw_away

# The mark of a layer whose tar does not describe its root.  Overlayfs keeps names with this
# beginning to itself, and lading drops them from strangers' tars.
BARE_XATTR = "trusted.overlay.lading.bare"
# What overlayfs would write into a layer only to save work, and readers must not need.
_PLAIN = ("index=off", "redirect_dir=off", "metacopy=off")
_OWN_XATTRS = "trusted.overlay."


class StackedSnapshots:
    """The snapshots below one directory, each in a folder named by its key."""

    def __init__(
        self,
        folder: Path,
        driver: str,
        directory_of: Callable[[Digest], Path],
        later: Later = at_once,
    ) -> None:
        """*directory_of* answers where a layer's files are now; LayerNotFound if nowhere."""
        self._folder, self._driver, self._directory_of = folder, driver, directory_of
        self._later = later
        folder.mkdir(mode=0o710, parents=True, exist_ok=True)

    def make(self, key: str, layers: Sequence[Digest], *, writable: bool) -> tuple[Mount, ...]:
        """Make the snapshot *key*, durably; SnapshotExists, LayerNotFound."""
        records.check_free(self._folder, key)
        lowers = self._lowers(layers)
        home = self._folder / key
        home.mkdir(mode=0o710, exist_ok=True)
        throw_away((home / name for name in ("upper", "work")), self._folder)  # of a crash
        for name in ("upper", "work") if writable or not layers else ("upper",):
            (home / name).mkdir()
            (home / name).chmod(0o755)  # whatever the umask is
        _describe(home / "upper", lowers)
        record = records.new(self._driver, layers, writable=writable)
        records.write(self._folder, key, record)
        return (self._mount(key, lowers, writable=writable),)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        """How to mount it; SnapshotNotFound, LayerNotFound."""
        record = self._record(key)
        return (self._mount(key, self._lowers(record.diff_ids), writable=record.writable),)

    def writable(self, key: str) -> Path:
        """The directory that holds what the snapshot changed; SnapshotNotFound."""
        self._record(key)
        return self._folder / key / "upper"

    def changes(self, key: str) -> Iterator[Change]:
        """What was changed over the layers; SnapshotNotFound."""
        upper = self.writable(key)
        with self._lowers_mounted(self._lowers(self._record(key).diff_ids)) as lower:
            yield from diff.overlay(upper, lower)

    def remove(self, key: str) -> None:
        """Free the snapshot; what else its folder holds stays."""
        home = self._folder / key
        (home / records.NAME).unlink(missing_ok=True)
        throw_away((home / name for name in ("upper", "work")), self._folder, self._later)
        _remove_if_empty(home)

    def _record(self, key: str) -> SnapshotRecord:
        return records.read(self._folder, key)

    def _lowers(self, layers: Sequence[Digest]) -> list[Path]:
        return [self._directory_of(layer) for layer in layers]

    def _mount(self, key: str, lowers: Sequence[Path], *, writable: bool) -> Mount:
        home = self._folder / key
        if not lowers:
            return Mount("bind", str(home / "upper"), ("bind",) if writable else ("bind", "ro"))
        if writable:
            own = (f"upperdir={home / 'upper'}", f"workdir={home / 'work'}")
            return overlay(lowers, *own)
        return overlay([*lowers, home / "upper"], "ro")

    @contextmanager
    def _lowers_mounted(self, lowers: Sequence[Path]) -> Iterator[Path]:
        """The layers as one tree, for as long as the context lasts."""
        place = staging(self._folder)
        (place / "empty").mkdir(parents=True)
        try:
            (place / "merged").mkdir()
            if lowers:
                perform((overlay([*lowers, place / "empty"], "ro"),), place / "merged")
            try:
                yield place / "merged"
            finally:
                unmount(place / "merged", lazy=True)
        finally:
            throw_away((place,), self._folder)


def overlay(lowers: Sequence[Path], *options: str) -> Mount:
    """Stack *lowers*, bottom first."""
    seen = reversed(_visible(lowers))  # the kernel wants the top first
    return Mount("overlay", "overlay", (*(f"lowerdir+={path}" for path in seen), *options, *_PLAIN))


def mark_bare(directory: Path) -> None:
    """Note that *directory*, a layer's root, is not what the layer describes."""
    os.setxattr(directory, BARE_XATTR, b"y")


def _visible(lowers: Sequence[Path]) -> list[Path]:
    """The layers without those that an opaque root, or the same layer again, hides from above.

    What a layer brings and takes away it also does higher up, and overlayfs refuses (ELOOP) to
    have one directory twice.
    """
    opaque = [n for n, lower in enumerate(lowers) if _attribute(lower, OPAQUE_XATTR) == b"y"]
    seen = lowers[opaque[-1] if opaque else 0 :]
    return list(dict.fromkeys(reversed(seen)))[::-1]


def _describe(directory: Path, lowers: Sequence[Path]) -> None:
    """Make *directory* like the root of the topmost layer that describes its root."""
    for lower in reversed(lowers):
        if _attribute(lower, BARE_XATTR) is None:
            _copy_attributes(lower, directory)
            return


def _copy_attributes(source: Path, target: Path) -> None:
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(found.st_mode & 0o7777)
    for name in os.listxattr(source):
        if not name.startswith(_OWN_XATTRS):
            with contextlib.suppress(OSError):  # of a kind that the file system cannot hold
                os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return None
        raise


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
