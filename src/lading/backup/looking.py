"""Look at the files of one part: what is there, in the order of a tree, and what it holds.

Files are reached by descriptors beneath the top, never through a symbolic link; what has gone
meanwhile is passed over.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lading.backup.tree import FORMATS, Entry, Kind
from lading.layer.change import Change
from lading.layer.change import Kind as ChangeKind
from lading.linux.paths import open_beneath

Found = tuple[bytes, os.stat_result | None]
"""A path, and what is there; None where a writable layer says that nothing is."""

Extents = list[tuple[int, int]]

_SPARSE_FROM = 64 * 1024  # bytes of holes that are worth a map
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEFT_OUT = ("trusted.overlay.", "user.overlay.", "security.selinux")
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Gone(Exception):
    """Raised where a file went away, or became something else, while it was looked at."""


def excluding(patterns: Sequence[str]) -> Callable[[bytes], bool]:
    """Whether a path is left out: *patterns* are globs of paths or of last names."""
    if not patterns:
        return lambda path: False
    bare = [pattern.strip("/") for pattern in patterns]
    matcher = re.compile("|".join(fnmatch.translate(pattern) for pattern in bare))

    def is_excluded(path: bytes) -> bool:
        text = os.fsdecode(path)
        return any(matcher.match(each) for each in (text, text.rpartition("/")[2]))

    return is_excluded


def everything(top: int, is_excluded: Callable[[bytes], bool]) -> Iterator[Found]:
    """The whole tree, its top first, parents before children, names sorted by their bytes."""
    yield b"", os.fstat(top)
    waiting = _listing(top, b"")
    while waiting:
        path, found = waiting.pop()
        if is_excluded(path):
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            waiting += _listing(top, path)


def changed(
    top: int, changes: Iterable[Change], is_excluded: Callable[[bytes], bool]
) -> Iterator[Found]:
    """What a writable layer changed; *top* is the directory that holds it."""
    yield b"", os.fstat(top)
    skipped = b"/"  # a directory that is left out, with a slash: no path begins with one
    for change in changes:
        if change.path.startswith(skipped) or not change.path:
            continue
        if is_excluded(change.path):
            skipped = change.path + b"/"
            continue
        if change.kind is ChangeKind.DELETED:
            yield change.path, None
            continue
        try:
            yield change.path, status(top, change.path)
        except Gone:
            continue


def status(top: int, path: bytes) -> os.stat_result:
    """What is at *path*; Gone."""
    file = _opened(top, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.fstat(file)
    finally:
        os.close(file)


def described(top: int, path: bytes, found: os.stat_result) -> Entry:
    """The entry for anything but a regular file's content; Gone."""
    kind = FORMATS[stat.S_IFMT(found.st_mode)]
    device = found.st_rdev if kind in (Kind.CHARACTER, Kind.BLOCK) else 0
    place = _opened(top, path.rpartition(b"/")[0] or b".", os.O_PATH | os.O_DIRECTORY)
    try:
        itself = Path(f"/proc/self/fd/{place}") / (os.fsdecode(path).rpartition("/")[2] or ".")
        target = os.fsencode(itself.readlink()) if kind is Kind.SYMLINK else b""
        xattrs = attributes(itself)
    except OSError as error:
        if error.errno in (*_GONE, errno.EINVAL):
            raise Gone from None
        raise
    finally:
        os.close(place)
    return entry(path, kind, found, target=target, xattrs=xattrs, device=device)


def entry(
    path: bytes,
    kind: Kind,
    found: os.stat_result,
    *,
    target: bytes = b"",
    xattrs: dict[bytes, bytes] | None = None,
    device: int = 0,
    extents: Extents | None = None,
) -> Entry:
    """An entry without content, from what stat(2) says."""
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime=found.st_mtime_ns,
        size=found.st_size if kind is Kind.FILE else 0,
        target=target,
        major=os.major(device),
        minor=os.minor(device),
        xattrs=xattrs or {},
        extents=extents,
        ctime=found.st_ctime_ns,
        inode=found.st_ino,
    )


def opened(top: int, path: bytes) -> int:
    """A regular file, open for reading; Gone where it is none any more.  Close it."""
    file = _opened(top, path, _READ)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise Gone


def attributes(place: int | Path) -> dict[bytes, bytes]:
    """The extended attributes that belong to the file itself, not to this host's mounts."""
    follow = isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            return {}
        raise
    found = {}
    for name in sorted(names):
        if not name.startswith(_LEFT_OUT):
            try:
                found[os.fsencode(name)] = os.getxattr(place, name, follow_symlinks=follow)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.EPERM):
                    raise
    return found


def extents(file: int, found: os.stat_result) -> Extents | None:
    """The pieces of a sparse file that have data; None for one that is as good as dense."""
    if found.st_size - found.st_blocks * 512 < _SPARSE_FROM:
        return None
    pieces, at = [], 0
    while at < found.st_size:
        try:
            begin = os.lseek(file, at, os.SEEK_DATA)
            at = min(os.lseek(file, begin, os.SEEK_HOLE), found.st_size)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        if begin < at:
            pieces.append((begin, at - begin))
    return pieces


def reader(file: int, pieces: Iterable[tuple[int, int]]) -> Callable[[int], bytes]:
    """Reads *pieces*, one after the other; a file that shrank meanwhile goes on as zeros."""
    waiting = iter(pieces)
    offset = left = 0

    def read(size: int) -> bytes:
        nonlocal offset, left
        while not left:
            piece = next(waiting, None)
            if piece is None:
                return b""
            offset, left = piece
        wanted = min(size, left)
        content = os.pread(file, wanted, offset) or bytes(min(wanted, 1 << 20))
        offset += len(content)
        left -= len(content)
        return content

    return read


def _listing(top: int, path: bytes) -> list[tuple[bytes, os.stat_result]]:
    """One directory, the last name first; nothing where it has gone meanwhile."""
    try:
        directory = open_beneath(top, path or b".", _DIRECTORY, symlinks=False)
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    above, found = path + b"/" if path else b"", []
    try:
        with os.scandir(directory) as rows:
            for row in rows:
                try:
                    looked = row.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_IFMT(looked.st_mode) in FORMATS:  # sockets are left out
                    found.append((above + os.fsencode(row.name), looked))
    finally:
        os.close(directory)
    found.sort(key=lambda each: each[0], reverse=True)
    return found


def _opened(top: int, path: bytes, flags: int) -> int:
    try:
        return open_beneath(top, path or b".", flags | os.O_CLOEXEC, symlinks=False)
    except OSError as error:
        if error.errno in _GONE:
            raise Gone from None
        raise
