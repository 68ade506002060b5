"""Turn a layer's tar stream into a directory.

The stream is hostile: every name is resolved beneath the target by the kernel (openat2),
nothing is written through a symbolic link, and the last of several members of one name
wins.  Mounting the result is `lading.snapshot`'s job.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from lading.errors import Conflict
from lading.layer.entry import Entry, InvalidTar, Type, components
from lading.layer.headers import DEFAULT_LIMITS, Limits
from lading.layer.read import entries
from lading.layer.remove import remove_tree
from lading.layer.whiteouts import Whiteouts, chosen
from lading.linux.paths import open_in_root

_PIECE = 256 * 1024
_OVERLAY = (b"trusted.overlay.", b"user.overlay.")
_IMPOSSIBLE = (errno.EOPNOTSUPP, errno.EPERM)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[bytes, ...]


class NameTaken(Conflict):
    """Raised where a directory would replace a file or a file a directory, and may not."""

    def __init__(self, parts: Parts) -> None:
        name = b"/".join(parts).decode(errors="backslashreplace")
        super().__init__(f"cannot overwrite a directory with a file or the reverse: {name!r}")


@dataclass(frozen=True, slots=True)
class Options:
    """How to unpack.

    *whiteouts*: ``overlay`` makes overlayfs's own form of them, ``apply`` deletes what they
    name, ``keep`` takes them for ordinary files.  *owner* replaces the owners of the tar.
    """

    whiteouts: str = "keep"
    owner: tuple[int, int] | None = None
    keep_types: bool = False  # refuse to put a file in a directory's place or the reverse
    keep_top: bool = False  # leave the directory itself as it is, whatever the tar says of it
    beneath: Parts = ()  # put everything into this directory, which exists; links mean the root's
    limits: Limits = DEFAULT_LIMITS


def unpack(
    stream: BinaryIO, target: Path, *, whiteouts: str = "keep", options: Options | None = None
) -> bool:
    """Unpack the uncompressed tar *stream* into the directory *target*.

    Answers whether the tar described the root itself.  Raises InvalidTar (or a subclass)
    with part of the files written: unpack into a place of its own, and rename.  What was
    unpacked is not synced.
    """
    root = os.open(target, _DIRECTORY)
    try:
        return unpack_at(stream, root, options or Options(whiteouts))
    finally:
        os.close(root)


def unpack_at(stream: BinaryIO, root: int, options: Options) -> bool:
    """The same beneath the directory that *root* is open on."""
    with _Unpacker(root, options) as unpacker:
        for entry, body in entries(stream, options.limits):
            unpacker.add(entry, body)
        return unpacker.finish()


class _Unpacker:
    """The state of one unpacking: the parent last used, and directories' times."""

    def __init__(self, root: int, options: Options) -> None:
        self._root, self._options = root, options
        self._whiteouts: Whiteouts = chosen(options.whiteouts)
        self._parent: tuple[Parts, int] | None = None
        self._times: dict[Parts, int] = {}

    def __enter__(self) -> _Unpacker:
        return self

    def __exit__(self, *failure: object) -> None:
        self._forget_parent()

    def add(self, entry: Entry, body: RawIOBase) -> None:
        """Make one member."""
        parts = self._options.beneath + entry.parts
        if not entry.parts:
            self._describe_top(entry)
            return
        try:
            parent = self._open_parent(parts[:-1])
            if self._whiteouts.handle(parent, parts[-1]):
                self._forget_parent()
                return
            self._make(parent, parts, entry, body)
        except OSError as error:
            raise _translated(error, entry) from error

    def finish(self) -> bool:
        """Set the directories' times, which making their children changed.

        Answers whether the root was described.
        """
        for parts, mtime in sorted(self._times.items(), reverse=True):
            with contextlib.suppress(OSError):  # it was replaced by something else since
                directory = open_in_root(self._root, b"/".join(parts) or b".", _DIRECTORY)
                try:
                    os.utime(directory, ns=(mtime, mtime))
                finally:
                    os.close(directory)
        return () in self._times

    def _make(self, parent: int, parts: Parts, entry: Entry, body: RawIOBase) -> None:
        name = parts[-1]
        if entry.type is Type.DIRECTORY:
            self._make_directory(parent, parts, entry)
        elif entry.type is Type.FILE:
            self._make_file(parent, parts, entry, body)
        elif entry.type is Type.HARDLINK:
            self._make_link(parent, parts, entry)
        else:
            self._replacing(parent, parts, lambda: _make_node(parent, name, entry))
            self._describe_node(parent, name, entry)
        self._whiteouts.made(parent, name)

    def _make_file(self, parent: int, parts: Parts, entry: Entry, body: RawIOBase) -> None:
        name = parts[-1]
        try:
            file = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, parts, for_directory=False)
            file = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            _fill(file, entry, body)
            uid, gid = self._options.owner or (entry.uid, entry.gid)
            if uid or gid:
                os.fchown(file, uid, gid)
            os.fchmod(file, entry.mode)
            if entry.xattrs:
                _set_xattrs(file, entry)
            os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(file)

    def _make_directory(self, parent: int, parts: Parts, entry: Entry) -> None:
        name, new = parts[-1], True
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            new = self._clear(parent, parts, for_directory=True)
            if new:
                os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self._describe(directory, entry)
            if new:
                self._whiteouts.made_directory(directory, parent, name)
        finally:
            os.close(directory)
        self._times[parts] = entry.mtime_ns

    def _make_link(self, parent: int, parts: Parts, entry: Entry) -> None:
        source = self._options.beneath + components(entry.target)
        if not source or source == parts:
            raise InvalidTar(f"a hard link to itself: {entry.name[:200]!r}")
        try:
            above = open_in_root(self._root, b"/".join(source[:-1]) or b".", os.O_PATH)
        except OSError:
            raise InvalidTar(f"a hard link to nothing: {entry.target[:200]!r}") from None
        try:
            found = os.stat(source[-1], dir_fd=above, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) or self._whiteouts.is_one(found):
                raise InvalidTar(f"a hard link to a directory: {entry.target[:200]!r}")
            self._replacing(parent, parts, lambda: _link(above, source[-1], parent, parts[-1]))
        except FileNotFoundError:
            raise InvalidTar(f"a hard link to nothing: {entry.target[:200]!r}") from None
        finally:
            os.close(above)

    def _replacing(self, parent: int, parts: Parts, make: Callable[[], None]) -> None:
        try:
            make()
        except FileExistsError:
            self._clear(parent, parts, for_directory=False)
            make()

    def _clear(self, parent: int, parts: Parts, *, for_directory: bool) -> bool:
        """Take away what has the name; True when nothing is there now."""
        name = parts[-1]
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        is_directory = stat.S_ISDIR(found.st_mode)
        if is_directory and for_directory:
            return False
        if self._options.keep_types and is_directory != for_directory:
            raise NameTaken(parts)
        self._whiteouts.cleared(parent, name, found)
        if is_directory:
            self._forget_parent(keep=parent)
            remove_tree(parent, name)
        else:
            os.unlink(name, dir_fd=parent)
        return True

    def _describe_top(self, entry: Entry) -> None:
        if entry.type is not Type.DIRECTORY:
            raise InvalidTar("the root is not a directory")
        if self._options.keep_top:
            return
        parts = self._options.beneath
        top = open_in_root(self._root, b"/".join(parts) or b".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._describe(top, entry)
        finally:
            os.close(top)
        self._times[parts] = entry.mtime_ns

    def _describe(self, descriptor: int, entry: Entry) -> None:
        os.fchown(descriptor, *(self._options.owner or (entry.uid, entry.gid)))
        os.fchmod(descriptor, entry.mode)
        if entry.xattrs:
            _set_xattrs(descriptor, entry)

    def _describe_node(self, parent: int, name: bytes, entry: Entry) -> None:
        """Through a descriptor of the node itself: its name may be swapped at any time."""
        uid, gid = self._options.owner or (entry.uid, entry.gid)
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        node = os.open(name, _LOOK, dir_fd=parent)
        try:
            if entry.type is not Type.SYMLINK:
                itself = Path(f"/proc/self/fd/{node}")
                itself.chmod(entry.mode)
                if entry.xattrs:
                    _set_xattrs(itself, entry)
        finally:
            os.close(node)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _open_parent(self, parts: Parts) -> int:
        if self._parent is not None and self._parent[0] == parts:
            return self._parent[1]
        self._forget_parent()
        found = self._find_parent(parts)
        self._parent = (parts, found)
        return found

    def _find_parent(self, parts: Parts) -> int:
        if not self._whiteouts.over_lower_layers:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path = b"/".join(parts) or b"."
                return open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY)
        return self._make_parents(parts)

    def _make_parents(self, parts: Parts) -> int:
        path = b"."
        for depth in range(1, len(parts) + 1):
            path = b"/".join(parts[:depth])
            above = open_in_root(self._root, b"/".join(parts[: depth - 1]) or b".", os.O_PATH)
            try:
                self._make_parent(above, parts[depth - 1])
            finally:
                os.close(above)
        return open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY)

    def _make_parent(self, above: int, name: bytes) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=above)
        except FileExistsError:
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) or not self._whiteouts.yields(above, name, found):
                return
            os.unlink(name, dir_fd=above)
            os.mkdir(name, 0o755, dir_fd=above)
            self._whiteouts.cleared(above, name, found)
        directory = os.open(name, _DIRECTORY, dir_fd=above)
        try:
            os.fchmod(directory, 0o755)
            self._whiteouts.made_directory(directory, above, name)
        finally:
            os.close(directory)
        self._whiteouts.made(above, name)

    def _forget_parent(self, keep: int | None = None) -> None:
        if self._parent is not None and self._parent[1] != keep:
            os.close(self._parent[1])
            self._parent = None


def _translated(error: OSError, entry: Entry) -> Exception:
    """What the tar is to blame for is InvalidTar; a full disk stays an OSError."""
    blame = (errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENAMETOOLONG, errno.EISDIR)
    if error.errno in (*blame, errno.ENOENT, errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY):
        return InvalidTar(f"{entry.name[:200]!r} cannot be made: {error.strerror}")
    return error


def _fill(file: int, entry: Entry, body: RawIOBase) -> None:
    if entry.segments is None:
        _copy(file, body, entry.stored)
        return
    for offset, length in entry.segments:
        os.lseek(file, offset, os.SEEK_SET)
        _copy(file, body, length)
    os.ftruncate(file, entry.size)


def _copy(file: int, body: RawIOBase, length: int) -> None:
    while length:
        piece = body.read(min(length, _PIECE)) or b""
        if not piece:
            raise InvalidTar("truncated in a file's data")
        length -= len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(file, view) :]


def _make_node(parent: int, name: bytes, entry: Entry) -> None:
    if entry.type is Type.SYMLINK:
        os.symlink(entry.target, name, dir_fd=parent)
        return
    device = 0
    if entry.type in (Type.CHARACTER, Type.BLOCK):
        if entry.type is Type.CHARACTER and (entry.major, entry.minor) == (0, 0):
            # Overlayfs takes such a device for a whiteout, and a layer must not smuggle one in.
            raise InvalidTar(f"a character device 0/0: {name[:200]!r}")
        device = os.makedev(entry.major, entry.minor)
    os.mknod(name, entry.type.value | 0o600, device, dir_fd=parent)


def _link(above: int, source: bytes, parent: int, name: bytes) -> None:
    os.link(source, name, src_dir_fd=above, dst_dir_fd=parent, follow_symlinks=False)


def _set_xattrs(place: int | Path, entry: Entry) -> None:
    for name, value in kept_xattrs(entry):
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            # A file system without such attributes: the rest is still worth having.
            if error.errno not in _IMPOSSIBLE:
                raise


def kept_xattrs(entry: Entry) -> Iterator[tuple[bytes, bytes]]:
    """The entry's extended attributes without overlayfs's own, which a layer may not set."""
    return ((n, v) for n, v in entry.xattrs.items() if not n.startswith(_OVERLAY))
