"""Lay out a tree's files, in an empty directory or over a container's root.

A tree comes from a target that strangers may have written to: every name is resolved beneath
the top by the kernel, no link is ever followed, and files are made anew, never opened as they
are.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from lading.backup.contents import Contents
from lading.backup.tree import Entry, InvalidTree, Kind, Tree
from lading.linux.paths import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OVERLAY = (b"trusted.overlay.", b"user.overlay.")
_IMPOSSIBLE = (errno.EOPNOTSUPP, errno.EPERM)
_BLAME = (
    *(errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOENT),
    *(errno.EINVAL, errno.EEXIST, errno.EFBIG),
)
_FORMATS = {
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}


def lay(tree: Tree, contents: Contents, top: Path) -> None:
    """Make all of *tree* beneath *top*; InvalidTree, Corrupt, OSError, with part of it made.

    What is there already gives way to what the tree has of the same name.  Nothing is synced.
    """
    descriptor = os.open(top, _DIRECTORY)
    try:
        with _Layer(descriptor, tree, contents) as layer:
            for entry in tree.entries:
                layer.add(entry)
            layer.finish()
    finally:
        os.close(descriptor)


class _Layer:
    """The state of one laying out: the parent last used, and directories to be dated."""

    def __init__(self, top: int, tree: Tree, contents: Contents) -> None:
        self._top, self._tree, self._contents = top, tree, contents
        self._parent: tuple[bytes, int] | None = None
        self._directories: list[Entry] = []

    def __enter__(self) -> _Layer:
        return self

    def __exit__(self, *failure: object) -> None:
        self._forget_parent()

    def add(self, entry: Entry) -> None:
        try:
            self._add(entry)
        except OSError as error:
            if error.errno in _BLAME:
                told = f"{entry.path[:200]!r} cannot be made: {error.strerror}"
                raise InvalidTree(told) from error
            raise

    def finish(self) -> None:
        """Date the directories, which making their children changed."""
        for entry in reversed(self._directories):
            directory = self._open(entry.path, _DIRECTORY)
            try:
                os.utime(directory, ns=(entry.mtime, entry.mtime))
            finally:
                os.close(directory)

    def _add(self, entry: Entry) -> None:
        if not entry.path:
            if entry.kind != Kind.DIRECTORY:
                raise InvalidTree("its top is no directory")
            self._describe(self._top, entry)
            self._directories.append(entry)
            return
        parent, name = self._open_parent(entry.path)
        if entry.kind == Kind.DIRECTORY:
            self._make_directory(parent, name, entry)
            return
        self._clear(parent, name)
        if entry.kind == Kind.FILE:
            self._make_file(parent, name, entry)
        elif entry.kind == Kind.HARDLINK:
            self._make_link(parent, name, entry)
        elif entry.kind != Kind.DELETED:
            _make_node(parent, name, entry)
            _describe_node(parent, name, entry)

    def _make_directory(self, parent: int, name: bytes, entry: Entry) -> None:
        found = _status(parent, name)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=parent)
            found = None
        if found is None:
            os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self._describe(directory, entry)
        finally:
            os.close(directory)
        self._directories.append(entry)

    def _make_file(self, parent: int, name: bytes, entry: Entry) -> None:
        file = os.open(name, _NEW, 0o600, dir_fd=parent)
        try:
            whole = [(0, entry.size)] if entry.extents is None else entry.extents
            _fill(file, whole, self._contents.pieces(self._tree, entry))
            if os.fstat(file).st_size != entry.size:
                os.ftruncate(file, entry.size)
            self._describe(file, entry)
            os.utime(file, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(file)

    def _make_link(self, parent: int, name: bytes, entry: Entry) -> None:
        above, slash, last = entry.target.rpartition(b"/")
        source = self._open(above if slash else b"", os.O_PATH | os.O_DIRECTORY)
        try:
            found = _status(source, last)
            if found is None or stat.S_ISDIR(found.st_mode):
                raise InvalidTree(f"a hard link to nothing: {entry.target[:200]!r}")
            os.link(last, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _clear(self, parent: int, name: bytes) -> None:
        found = _status(parent, name)
        if found is None:
            return
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(os.fsdecode(name), dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def _describe(self, descriptor: int, entry: Entry) -> None:
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)
        found = {os.fsencode(name) for name in os.listxattr(descriptor)}
        for name in found - set(entry.xattrs):
            if not name.startswith((*_OVERLAY, b"security.selinux")):
                os.removexattr(descriptor, name)
        set_attributes(descriptor, entry)

    def _open_parent(self, path: bytes) -> tuple[int, bytes]:
        above, _, name = path.rpartition(b"/")
        if self._parent is None or self._parent[0] != above:
            self._forget_parent()
            self._parent = (above, self._open(above, os.O_PATH | os.O_DIRECTORY))
        return self._parent[1], name

    def _open(self, path: bytes, flags: int) -> int:
        return open_beneath(self._top, path or b".", flags, symlinks=False)

    def _forget_parent(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None


def set_attributes(place: int | Path, entry: Entry) -> None:
    """Extended attributes but overlayfs's own, as far as the file system can hold them."""
    for name, value in entry.xattrs.items():
        if name.startswith(_OVERLAY):
            continue
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise


def _fill(file: int, extents: Iterable[tuple[int, int]], pieces: Iterable[bytes]) -> None:
    """Write *pieces*, one after the other, where the file has data."""
    held = memoryview(b"")
    waiting = (memoryview(piece) for piece in pieces)
    for offset, length in extents:
        while length:
            held = held or next(waiting)
            written = os.pwrite(file, held[:length], offset)
            held, offset, length = held[written:], offset + written, length - written
    if held or next(waiting, held):
        raise InvalidTree("a file has more content than it is long")


def _make_node(parent: int, name: bytes, entry: Entry) -> None:
    if entry.kind == Kind.SYMLINK:
        os.symlink(entry.target, name, dir_fd=parent)
        return
    device = os.makedev(entry.major, entry.minor) if entry.kind != Kind.FIFO else 0
    if entry.kind == Kind.CHARACTER and not device:
        # Overlayfs takes such a device for a whiteout, and a backup must not smuggle one in.
        raise InvalidTree(f"a character device 0/0: {entry.path[:200]!r}")
    os.mknod(name, _FORMATS[Kind(entry.kind)] | 0o600, device, dir_fd=parent)


def _describe_node(parent: int, name: bytes, entry: Entry) -> None:
    """Through a descriptor of the node itself: its name may be swapped at any time."""
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    if entry.kind != Kind.SYMLINK:
        node = os.open(name, _LOOK, dir_fd=parent)
        try:
            itself = Path(f"/proc/self/fd/{node}")
            itself.chmod(entry.mode)
            set_attributes(itself, entry)
        finally:
            os.close(node)
    times = (entry.mtime, entry.mtime)
    os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)


def _status(parent: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
