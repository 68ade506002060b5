"""Copy a tree of files with everything a file has: owners, modes, times, attributes, holes.

Data is shared with the source where the file system can (reflinks), and else copied by
the kernel.  Files are reached by descriptors, never through a symbolic link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from lading.layer.pack import walk
from lading.linux.files import copy_range
from lading.linux.paths import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409
_NO_XATTR = (errno.EOPNOTSUPP, errno.EPERM)

Times = tuple[int, int]


def replicate(source: Path | str, target: Path) -> None:
    """Fill the empty directory *target* with a copy of all below *source*, and be like it.

    OSError when something cannot be copied.  Nothing is synced; sockets are left out.
    """
    with _Copier(source, target) as copier:
        for path in walk(source):
            copier.copy(path)
        copier.finish()


class _Copier:
    """One copy being made: the parent last used, first names of hard links, directories' times."""

    def __init__(self, source: Path | str, target: Path) -> None:
        self._source = os.open(source, _DIRECTORY)
        self._target = os.open(target, _DIRECTORY)
        self._parents: tuple[bytes, int, int] = (b"", self._source, self._target)
        self._first: dict[tuple[int, int], bytes] = {}
        self._times: list[tuple[bytes, Times]] = [(b"", _times(os.fstat(self._source)))]

    def __enter__(self) -> _Copier:
        return self

    def __exit__(self, *failure: object) -> None:
        self._forget_parents()
        os.close(self._source)
        os.close(self._target)

    def copy(self, path: bytes) -> None:
        """Make the file *path*; its parent is there."""
        above, _, name = path.rpartition(b"/")
        source, target = self._open_parents(above)
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            self._copy_directory(path, name, (source, target))
            return
        if found.st_nlink > 1:
            first = self._first.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                ends = {"src_dir_fd": self._target, "dst_dir_fd": target}
                os.link(first, name, **ends, follow_symlinks=False)  # it may be a link itself
                return
        if kind == stat.S_IFREG:
            _copy_file(name, source, target)
        elif kind != stat.S_IFSOCK:
            _copy_node(name, found, source, target)

    def finish(self) -> None:
        """Describe the root; set the directories' times, which making their children changed."""
        _describe(self._source, self._target)
        for path, times in reversed(self._times):
            directory = open_beneath(self._target, path or b".", _DIRECTORY, symlinks=False)
            try:
                os.utime(directory, ns=times)
            finally:
                os.close(directory)

    def _copy_directory(self, path: bytes, name: bytes, parents: tuple[int, int]) -> None:
        os.mkdir(name, 0o700, dir_fd=parents[1])
        one = os.open(name, _DIRECTORY, dir_fd=parents[0])
        try:
            other = os.open(name, _DIRECTORY, dir_fd=parents[1])
            try:
                _describe(one, other)
                self._times.append((path, _times(os.fstat(one))))
            finally:
                os.close(other)
        finally:
            os.close(one)

    def _open_parents(self, above: bytes) -> tuple[int, int]:
        if self._parents[0] != above:
            self._forget_parents()
            if above:
                source = open_beneath(self._source, above, _DIRECTORY, symlinks=False)
                target = open_beneath(self._target, above, _DIRECTORY, symlinks=False)
                self._parents = (above, source, target)
        return self._parents[1:]

    def _forget_parents(self) -> None:
        above, *descriptors = self._parents
        self._parents = (b"", self._source, self._target)
        if above:
            for descriptor in descriptors:
                os.close(descriptor)


def _copy_file(name: bytes, source: int, target: int) -> None:
    one = os.open(name, _READ, dir_fd=source)
    try:
        other = os.open(name, _NEW, 0o600, dir_fd=target)
        try:
            found = os.fstat(one)
            _copy_content(one, other, found.st_size)
            _describe(one, other)
            os.utime(other, ns=_times(found))
        finally:
            os.close(other)
    finally:
        os.close(one)


def _copy_content(source: int, target: int, size: int) -> None:
    if not size:
        return
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        pass  # no reflinks here
    at = 0
    while at < size:
        try:
            begin = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        at = min(os.lseek(source, begin, os.SEEK_HOLE), size)
        os.lseek(source, begin, os.SEEK_SET)
        os.lseek(target, begin, os.SEEK_SET)
        copy_range(source, target, at - begin)
    os.ftruncate(target, size)


def _copy_node(name: bytes, found: os.stat_result, source: int, target: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        # The owner first: changing it takes set-ID bits away.
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
        _copy_xattrs(_in(source, name), _in(target, name))
    os.utime(name, ns=_times(found), dir_fd=target, follow_symlinks=False)


def _in(directory: int, name: bytes) -> Path:
    return Path(f"/proc/self/fd/{directory}") / os.fsdecode(name)


def _describe(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    _copy_xattrs(source, target)


def _copy_xattrs(source: int | Path, target: int | Path) -> None:
    follow = isinstance(source, int)
    for name in os.listxattr(source, follow_symlinks=follow):
        value = os.getxattr(source, name, follow_symlinks=follow)
        try:
            os.setxattr(target, name, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _NO_XATTR:  # of a kind that this file system cannot hold
                raise


def _times(found: os.stat_result) -> Times:
    return found.st_atime_ns, found.st_mtime_ns
