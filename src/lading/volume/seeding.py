"""Fill an empty volume with what the image has at its place: all of it, or nothing.

A copy is made beside the volume's files, synced, and only then moved in, piece by piece,
because a running container may have the volume mounted already.  A move that was cut off is
finished later; nothing that the volume has got meanwhile is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from lading.layer.replicate import replicate
from lading.linux.files import fsync_directory, sync_tree
from lading.linux.paths import open_in_root
from lading.snapshot.trash import delete

DATA = "_data"
_PART, _WHOLE = "seed.part", "seed"
_USED = "used"  # a mark: some container was here
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def seed(home: Path, rootfs: Path, destination: str) -> None:
    """Fill the volume at *home*, while it is empty, from *destination* in *rootfs*.

    The path is resolved inside the root only.  An image that has no directory there gives
    nothing; one that has an empty one gives its owner and mode to a volume never used before.
    """
    finish(home)
    if _names(home / DATA):
        return
    is_new = not (home / _USED).exists()
    (home / _USED).touch()
    source = _opened(rootfs, destination)
    if source is None:
        return
    try:
        if _names(source):
            _copy(home, source)
        elif is_new:
            _describe(Path(f"/proc/self/fd/{source}"), home / DATA)
    finally:
        os.close(source)


def mark_used(home: Path) -> None:
    """Some container was here: an empty volume keeps its own owner and mode."""
    (home / _USED).touch()


def is_empty(home: Path) -> bool:
    """Whether the volume holds nothing, and nothing waits to be moved in."""
    return not any(_names(home / name) for name in (DATA, _WHOLE) if (home / name).is_dir())


def finish(home: Path) -> None:
    """Move in what lies ready, if anything does; idempotent."""
    delete(home / _PART)
    if not (home / _WHOLE).exists():
        return
    source, target = (os.open(home / name, _DIRECTORY) for name in (_WHOLE, DATA))
    was = os.fstat(source)
    try:
        there = _names(target)
        for name in _names(source) - there:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    finally:
        os.close(source)
        os.close(target)
    _describe(home / _WHOLE, home / DATA)
    os.utime(home / DATA, ns=(was.st_atime_ns, was.st_mtime_ns))
    fsync_directory(home / DATA)
    fsync_directory(home)
    delete(home / _WHOLE)


def _copy(home: Path, source: int) -> None:
    part = home / _PART
    part.mkdir(mode=0o700)
    try:
        replicate(f"/proc/self/fd/{source}/.", part)
        sync_tree(part)
    except BaseException:
        with contextlib.suppress(OSError):
            delete(part)
        raise
    part.rename(home / _WHOLE)
    fsync_directory(home)
    finish(home)


def _opened(rootfs: Path, destination: str) -> int | None:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_in_root(root, os.fsencode(destination), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    finally:
        os.close(root)


def _describe(source: Path, target: Path) -> None:
    """Give *target* the owner, mode, attributes and times of *source*."""
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def _names(directory: int | Path) -> set[bytes]:
    with os.scandir(directory) as rows:
        return {os.fsencode(row.name) for row in rows}
