"""What changed between two trees, whether overlayfs kept track of it or not.

Both ways give the same answer: a file with other bytes or attributes is MODIFIED, as is
each directory above a change; a copy that differs in nothing is no change.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lading.layer.change import Change, Kind
from lading.layer.whiteouts import OPAQUE_XATTR

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 256 * 1024
_OWN_XATTRS = ("trusted.overlay.", "user.overlay.")

Found = os.stat_result


def overlay(upper: Path, lower: Path) -> Iterator[Change]:
    """The changes that overlayfs left in *upper*, over the merged lower layers at *lower*.

    Sorted by path, parents first.  An opaque directory is expanded into the deletions of
    what it hides.
    """
    with _Pair(upper, lower) as (new, old):
        yield from _overlay(new, old, b"", opaque=_is_opaque(new))


def trees(old: Path, new: Path, *, untouched_since: int | None = None) -> Iterator[Change]:
    """The changes that make *new* of *old*, sorted by path, parents first.

    A file of *new* whose attributes are the same and whose inode has not changed after
    *untouched_since* (nanoseconds) is taken for unchanged without being read.
    """
    with _Pair(new, old) as (fresh, before):
        yield from _trees(fresh, before, b"", untouched_since)


class _Pair:
    """Two directories opened together; the second one may be missing."""

    def __init__(self, first: Path, second: Path) -> None:
        self._paths = (first, second)

    def __enter__(self) -> tuple[int, int]:
        first, second = self._paths
        self._first = os.open(first, _DIRECTORY)
        try:
            self._second = os.open(second, _DIRECTORY)
        except BaseException:
            os.close(self._first)
            raise
        return self._first, self._second

    def __exit__(self, *failure: object) -> None:
        os.close(self._first)
        os.close(self._second)


def _overlay(upper: int, lower: int | None, path: bytes, *, opaque: bool) -> Iterator[Change]:
    above, below = _listing(upper), _names(lower)
    hidden = below - set(above) if opaque else set()
    for name in sorted(set(above) | hidden):
        inner = path + b"/" + name if path else name
        found = above.get(name)
        if found is None or (stat.S_ISCHR(found.st_mode) and found.st_rdev == 0):
            if name in below:
                yield Change(inner, Kind.DELETED)
            continue
        before = _stat(lower, name)
        if not stat.S_ISDIR(found.st_mode):
            if before is None or not _same(upper, lower, name, found, before):
                yield Change(inner, Kind.ADDED if before is None else Kind.MODIFIED)
            continue
        yield from _overlay_directory(upper, lower, inner, before, opaque=opaque)


def _overlay_directory(
    upper: int, lower: int | None, path: bytes, before: Found | None, *, opaque: bool
) -> Iterator[Change]:
    name = path.rpartition(b"/")[2]
    is_merged = before is not None and stat.S_ISDIR(before.st_mode)
    directory = os.open(name, _DIRECTORY, dir_fd=upper)
    old = _open(lower, name) if is_merged else None
    try:
        inner = _overlay(directory, old, path, opaque=opaque or _is_opaque(directory))
        touched = not (is_merged and old is not None and _same_directory(directory, old))
        kind = Kind.ADDED if before is None else Kind.MODIFIED
        yield from _under(Change(path, kind), inner, touched=touched)
    finally:
        os.close(directory)
        if old is not None:
            os.close(old)


def _trees(new: int, old: int | None, path: bytes, since: int | None) -> Iterator[Change]:
    after, below = _listing(new), _names(old)
    for name in sorted(set(after) | below):
        inner = path + b"/" + name if path else name
        found, before = after.get(name), _stat(old, name)
        if found is None:
            yield Change(inner, Kind.DELETED)
        elif stat.S_ISDIR(found.st_mode):
            yield from _tree_directory(new, old, inner, before, since)
        elif before is None:
            yield Change(inner, Kind.ADDED)
        elif not _same(new, old, name, found, before, since):
            yield Change(inner, Kind.MODIFIED)


def _tree_directory(
    new: int, old: int | None, path: bytes, before: Found | None, since: int | None
) -> Iterator[Change]:
    name = path.rpartition(b"/")[2]
    is_both = before is not None and stat.S_ISDIR(before.st_mode)
    directory = os.open(name, _DIRECTORY, dir_fd=new)
    was = _open(old, name) if is_both else None
    try:
        touched = was is None or not _same_directory(directory, was)
        kind = Kind.ADDED if before is None else Kind.MODIFIED
        yield from _under(Change(path, kind), _trees(directory, was, path, since), touched=touched)
    finally:
        os.close(directory)
        if was is not None:
            os.close(was)


def _under(parent: Change, changes: Iterator[Change], *, touched: bool) -> Iterator[Change]:
    """*parent* before the first of *changes*, or alone if it was *touched* itself."""
    first = next(changes, None)
    if first is None:
        if touched:
            yield parent
        return
    yield parent
    yield first
    yield from changes


def _listing(directory: int) -> dict[bytes, Found]:
    with os.scandir(directory) as rows:
        names = [os.fsencode(row.name) for row in rows]
    found = ((name, _stat(directory, name)) for name in names)
    return {name: status for name, status in found if status is not None}


def _names(directory: int | None) -> set[bytes]:
    if directory is None:
        return set()
    with os.scandir(directory) as rows:
        return {os.fsencode(row.name) for row in rows}


def _stat(directory: int | None, name: bytes) -> Found | None:
    if directory is None:
        return None
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _open(directory: int | None, name: bytes) -> int | None:
    return None if directory is None else os.open(name, _DIRECTORY, dir_fd=directory)


def _is_opaque(directory: int) -> bool:
    try:
        return os.getxattr(directory, OPAQUE_XATTR) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM):
            return False
        raise


def _same_directory(new: int, old: int) -> bool:
    one, other = os.fstat(new), os.fstat(old)
    same = (one.st_mode, one.st_uid, one.st_gid, one.st_mtime_ns) == (
        other.st_mode,
        other.st_uid,
        other.st_gid,
        other.st_mtime_ns,
    )
    return same and _xattrs(new) == _xattrs(old)


def _same(
    new: int, old: int | None, name: bytes, found: Found, before: Found, since: int | None = None
) -> bool:
    """Whether the two files differ in nothing; contents are read only where all else agrees."""
    if old is None or _attributes(found) != _attributes(before):
        return False
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(name, dir_fd=new) == os.readlink(name, dir_fd=old)
    if not stat.S_ISREG(found.st_mode):
        return found.st_rdev == before.st_rdev
    if since is not None and found.st_ctime_ns <= since:
        return True
    return _same_file(new, old, name)


def _attributes(found: Found) -> tuple[int, ...]:
    return (found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns)


def _same_file(new: int, old: int, name: bytes) -> bool:
    one = os.open(name, _READ, dir_fd=new)
    try:
        other = os.open(name, _READ, dir_fd=old)
        try:
            return _xattrs(one) == _xattrs(other) and _same_bytes(one, other)
        finally:
            os.close(other)
    finally:
        os.close(one)


def _same_bytes(one: int, other: int) -> bool:
    while True:
        piece = os.read(one, _PIECE)
        if piece != os.read(other, _PIECE):
            return False
        if not piece:
            return True


def _xattrs(file: int) -> dict[str, bytes]:
    try:
        names = os.listxattr(file)
    except OSError:
        return {}
    return {n: os.getxattr(file, n) for n in names if not n.startswith(_OWN_XATTRS)}
