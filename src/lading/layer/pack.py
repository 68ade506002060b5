"""Turn files into a tar: the changes that make a layer, or a whole tree.

Files are reached by descriptors, never through a symbolic link, and may change
meanwhile: a member always has the size that its header says.  The same files give the
same bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from lading.layer import write
from lading.layer.change import Change, Kind
from lading.layer.entry import NO_XATTRS, Entry, Type
from lading.layer.whiteouts import PREFIX
from lading.linux.paths import open_beneath

_PIECE = 256 * 1024
_SPARSE_FROM = 64 * 1024  # bytes of holes that are worth a map
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEFT_OUT = ("trusted.overlay.", "user.overlay.", "security.selinux")
# Gone, or replaced by something else since it was listed: a link, a file in a directory's place.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_TYPES = {kind.value: kind for kind in Type if kind is not Type.HARDLINK}


class Output(Protocol):
    """Where the tar goes."""

    def write(self, piece: bytes, /) -> object: ...


Adjust = Callable[[Entry], None]
"""Changes what is said of a member before it is written: its owner, its mode, its time."""


def pack(
    root: Path, changes: Iterable[Change], out: Output, *, adjust: Adjust | None = None
) -> None:
    """Write a layer: each change as read from *root*, a deletion as a whiteout.

    A file that is gone by now is left out.  OSError when one cannot be read.
    """
    with Packer(root, out, adjust) as packer:
        for change in changes:
            if change.kind is Kind.DELETED:
                packer.whiteout(change.path)
            else:
                packer.add(change.path, change.path)
    out.write(write.END)


def tree(
    root: Path | str, out: Output, *, prefix: bytes = b"", top: bool = True, mounts: bool = True
) -> None:
    """Write everything below *root*, parents first, sorted; names begin with *prefix*.

    *top* tells whether the root itself is a member (as *prefix*, or ``./``); without
    *mounts* other file systems are left out.
    """
    with Packer(root, out) as packer:
        if top:
            packer.add(b"", prefix or b".")
        for path in walk(root, mounts=mounts):
            packer.add(path, prefix + b"/" + path if prefix else path)
    out.write(write.END)


def single(root: Path | str, path: bytes, out: Output, *, name: bytes) -> None:
    """Write the one file *path* below *root* as *name*."""
    with Packer(root, out) as packer:
        packer.add(path, name)
    out.write(write.END)


def walk(root: Path | str, *, mounts: bool = True) -> Iterator[bytes]:
    """Every path below *root*, parents first, names sorted by their bytes; links not followed."""
    top = os.open(root, _DIRECTORY)
    try:
        device = None if mounts else os.fstat(top).st_dev
        waiting = _listing(top, b"", device)
        while waiting:
            path, is_directory = waiting.pop()
            yield path
            if is_directory:
                waiting += _listing(top, path, device)
    finally:
        os.close(top)


def _listing(top: int, path: bytes, device: int | None) -> list[tuple[bytes, bool]]:
    """The paths in one directory, last one first; none where it has gone meanwhile."""
    try:
        directory = open_beneath(top, path or b".", _DIRECTORY, symlinks=False)
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    try:
        if device is not None and os.fstat(directory).st_dev != device:
            return []
        with os.scandir(directory) as rows:
            found = [(os.fsencode(row.name), row.is_dir(follow_symlinks=False)) for row in rows]
    finally:
        os.close(directory)
    above = path + b"/" if path else b""
    return [(above + name, is_directory) for name, is_directory in sorted(found, reverse=True)]


class Packer:
    """Members on their way into a tar, whose end the caller writes.

    It remembers names of hard links and the parent last used.
    """

    def __init__(self, root: Path | str, out: Output, adjust: Adjust | None = None) -> None:
        self._root = os.open(root, _DIRECTORY)
        self._out, self._adjust = out, adjust
        self._names: dict[tuple[int, int], bytes] = {}
        self._parent: tuple[bytes, int] | None = None

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, *failure: object) -> None:
        with ExitStack() as closing:
            closing.callback(os.close, self._root)
            if self._parent is not None:
                closing.callback(os.close, self._parent[1])

    def whiteout(self, path: bytes) -> None:
        """Say that *path* is gone (image-spec layer.md, "Whiteouts")."""
        above, slash, name = path.rpartition(b"/")
        marker = above + slash + PREFIX + name
        entry = Entry(marker, Type.FILE, 0, 0, 0, 0, 0, 0, b"", 0, 0, NO_XATTRS, 0, 0)
        self._out.write(write.header(entry))

    def add(self, path: bytes, name: bytes) -> None:
        """Write the file *path* under *name*; sockets are left out, and what has gone."""
        try:
            self._add(path, name)
        except OSError as error:
            if error.errno not in _GONE:
                raise

    def _add(self, path: bytes, name: bytes) -> None:
        parent, last = self._open_parent(path)
        found = os.stat(last, dir_fd=parent, follow_symlinks=False)
        kind = _TYPES.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return
        if kind is not Type.DIRECTORY and found.st_nlink > 1:
            first = self._names.setdefault((found.st_dev, found.st_ino), name)
            if first != name:
                self._write_link(name, first, found)
                return
        if kind is Type.FILE:
            self._write_file(parent, last, name)
            return
        entry = _entry(name + b"/" if kind is Type.DIRECTORY else name, kind, found)
        if kind is Type.SYMLINK:
            entry.target = _link_target(parent, last)
        entry.xattrs = _xattrs(Path(f"/proc/self/fd/{parent}") / os.fsdecode(last))
        self._write_header(entry)

    def _write_link(self, name: bytes, first: bytes, found: os.stat_result) -> None:
        entry = _entry(name, Type.HARDLINK, found)
        entry.target, entry.size = first, 0
        self._write_header(entry)

    def _write_file(self, parent: int, last: bytes, name: bytes) -> None:
        file = os.open(last, _READ, dir_fd=parent)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                return  # swapped for something else since it was looked at
            entry = _entry(name, Type.FILE, found)
            entry.xattrs = _xattrs(file)
            entry.segments = _segments(file, found)
            self._write_header(entry)
            pieces = entry.segments if entry.segments is not None else ((0, entry.size),)
            self._copy(file, pieces)
        finally:
            os.close(file)

    def _write_header(self, entry: Entry) -> None:
        if self._adjust is not None:
            self._adjust(entry)
        self._out.write(write.header(entry))

    def _copy(self, file: int, pieces: Iterable[tuple[int, int]]) -> None:
        total = 0
        for offset, length in pieces:
            total += length
            while length:
                # A file that shrank meanwhile goes on as zeros, as its header promised.
                wanted = min(length, _PIECE)
                piece = os.pread(file, wanted, offset) or bytes(wanted)
                self._out.write(piece)
                offset += len(piece)
                length -= len(piece)
        if total % write.BLOCK:
            self._out.write(write.padding(total))

    def _open_parent(self, path: bytes) -> tuple[int, bytes]:
        above, _, name = path.rpartition(b"/")
        if not name:
            return self._root, b"."
        if self._parent is None or self._parent[0] != above:
            if self._parent is not None:
                os.close(self._parent[1])
                self._parent = None
            opened = open_beneath(self._root, above or b".", _DIRECTORY, symlinks=False)
            self._parent = (above, opened)
        return self._parent[1], name


def _entry(name: bytes, kind: Type, found: os.stat_result) -> Entry:
    device = found.st_rdev if kind in (Type.CHARACTER, Type.BLOCK) else 0
    return Entry(
        name,
        kind,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        found.st_mtime_ns // 1_000_000_000,
        found.st_mtime_ns % 1_000_000_000,
        found.st_size if kind is Type.FILE else 0,
        b"",
        os.major(device),
        os.minor(device),
        NO_XATTRS,
        0,
        0,
    )


def _link_target(parent: int, name: bytes) -> bytes:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise FileNotFoundError(errno.ENOENT, "no link any more", name) from None


def _xattrs(place: int | Path) -> dict[bytes, bytes]:
    """The extended attributes that belong to the file itself, not to this host's mounts."""
    follow = isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError:
        return {}
    found = {}
    for name in names:
        if not name.startswith(_LEFT_OUT):
            try:
                found[os.fsencode(name)] = os.getxattr(place, name, follow_symlinks=follow)
            except OSError:
                continue  # gone since it was listed
    return found


def _segments(file: int, found: os.stat_result) -> tuple[tuple[int, int], ...] | None:
    """The pieces of a sparse file that have data; None for one that is as good as dense."""
    if found.st_size - found.st_blocks * 512 < _SPARSE_FROM:
        return None
    pieces, at = [], 0
    while at < found.st_size:
        try:
            begin = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        at = min(os.lseek(file, begin, os.SEEK_HOLE), found.st_size)
        pieces.append((begin, at - begin))
    if not pieces or at < found.st_size or sum(pieces[-1]) < found.st_size:
        pieces.append((found.st_size, 0))  # how GNU tar is told of a hole at the end
    return tuple(pieces)
