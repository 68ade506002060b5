"""Copy files out of and into a container as tars: what ``docker cp`` does.

Paths mean what they mean to Docker: the last component is not followed for reading unless a
slash or a dot comes after it, and always followed for writing.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from lading.container.record import Container
from lading.errors import Denied, Invalid, NotFound
from lading.layer import pack
from lading.layer.compression import decompress
from lading.layer.pack import Output
from lading.layer.unpack import Options, unpack_at
from lading.linux.paths import open_beneath, open_in_root
from lading.runtime import users

_DIRECTORY = os.O_PATH | os.O_DIRECTORY
# Go's FileMode: types and special bits lie where no Unix has them (package io/fs).
_GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class PathNotFound(NotFound):
    """Raised for a path that is not in the container, in Docker's words."""

    def __init__(self, path: str, container: Container) -> None:
        super().__init__(f"Could not find the file {path} in container {container.name}")


class NotADirectory(Invalid):
    """Raised where files are to be put into something that is no directory."""

    def __init__(self, path: str) -> None:
        super().__init__(f"extraction point is not a directory: {path}")


class ReadOnlyRoot(Denied):
    """Raised where the container's root takes no files, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("container rootfs is marked read-only")


class ReadOnlyVolume(Denied):
    """Raised where what is mounted at the path takes no files, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("mounted volume is marked read-only")


@dataclass(frozen=True, slots=True)
class PathStat:
    """What ``X-Docker-Container-Path-Stat`` says."""

    name: str
    size: int
    mode: int  # as Go writes a FileMode
    mtime: str  # RFC 3339
    link_target: str  # an absolute path in the container


OnStat = Callable[[PathStat], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """A path taken apart: the directory that is resolved, and the name in it that is not."""

    directory: str
    name: str  # "" where the path itself is meant as a directory
    base: str  # what the tar's entries are called


def look_up(container: Container, root_fd: int, path: str) -> PathStat:
    """What is at *path*; PathNotFound."""
    place = _place(path)
    with _opened(container, root_fd, place, path) as directory:
        return _stat(container, root_fd, place, directory, path)


def read(container: Container, root_fd: int, path: str, out: Output, on_stat: OnStat) -> None:
    """Write what is at *path* as a tar, after *on_stat* was told what it is; PathNotFound."""
    place = _place(path)
    with _opened(container, root_fd, place, path) as directory:
        on_stat(_stat(container, root_fd, place, directory, path))
        base = os.fsencode(place.base)
        opened = _directory_in(container, directory, place.name, path)
        if opened is None:
            pack.single(_by(directory), os.fsencode(place.name), out, name=base)
            return
        try:
            pack.tree(_by(opened), out, prefix=base)
        finally:
            os.close(opened)


def write(
    container: Container,
    root_fd: int,
    path: str,
    stream: BinaryIO,
    *,
    keep_types: bool = False,
    as_user: bool = False,
) -> None:
    """Unpack the tar *stream*, compressed or not, into the directory at *path*.

    With *keep_types* a directory never takes a file's place, nor the reverse; *as_user* gives
    everything to the container's user, if it has one.  PathNotFound, NotADirectory,
    ReadOnlyRoot, ReadOnlyVolume, InvalidTar.
    """
    owner = _owner(container, root_fd) if as_user else None
    parts = _target(container, root_fd, path)
    if container.host.readonly_rootfs:
        _check_mounted(root_fd, parts)
    # The root is opened anew for reading: unpacking needs more than a path descriptor.
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd)
    try:
        options = Options(owner=owner, keep_types=keep_types, keep_top=True, beneath=parts)
        unpack_at(decompress(stream), readable, options)
    except OSError as error:
        if error.errno == errno.EROFS:
            raise ReadOnlyVolume from None
        raise
    finally:
        os.close(readable)


def _place(path: str) -> _Place:
    """Take *path* apart as Docker does (moby, container.ResolvePath)."""
    if not path or "\0" in path:
        raise Invalid("path cannot be empty")
    clean = "/" + posixpath.normpath("/" + path).lstrip("/")
    last = path.rpartition("/")[2]
    if clean == "/":
        return _Place("/", "", ".")
    if last in ("", "."):
        return _Place(clean, "", "." if last == "." else posixpath.basename(clean))
    above, _, name = clean.rpartition("/")
    return _Place(above or "/", name, name)


@contextmanager
def _opened(container: Container, root_fd: int, place: _Place, path: str) -> Iterator[int]:
    try:
        directory = open_in_root(root_fd, os.fsencode(place.directory), _DIRECTORY)
    except OSError as error:
        raise _not_found(error, path, container) from None
    try:
        yield directory
    finally:
        os.close(directory)


def _stat(container: Container, root_fd: int, place: _Place, directory: int, path: str) -> PathStat:
    try:
        found = os.stat(place.name or ".", dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        raise _not_found(error, path, container) from None
    target = _link_target(root_fd, place) if stat.S_ISLNK(found.st_mode) else ""
    name = posixpath.basename("/" + path.rstrip("/")) or "/"
    return PathStat(name, found.st_size, _go_mode(found.st_mode), _time(found), target)


def _link_target(root_fd: int, place: _Place) -> str:
    """Where the link leads in the end, inside the root; as it is written when that is nowhere."""
    path = posixpath.join(place.directory, place.name)
    try:
        fd = open_in_root(root_fd, os.fsencode(path), os.O_PATH)
    except OSError:
        return posixpath.join("/", path)
    try:
        return "/" + os.fsdecode(_path_of(root_fd, fd))
    finally:
        os.close(fd)


def _path_of(root_fd: int, fd: int) -> bytes:
    """The path of an open file below the root, without outer slashes."""
    root, found = (os.fsencode(Path(f"/proc/self/fd/{each}").readlink()) for each in (root_fd, fd))
    return found.removeprefix(root).strip(b"/")


def _directory_in(container: Container, directory: int, name: str, path: str) -> int | None:
    """A descriptor of the directory *name*; None when it is something else."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name or ".", flags, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return None
        raise _not_found(error, path, container) from None


def _target(container: Container, root_fd: int, path: str) -> tuple[bytes, ...]:
    """The directory to write into, links followed, as the parts of its path."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    try:
        found = open_in_root(root_fd, os.fsencode(clean), os.O_PATH)
    except OSError as error:
        raise _not_found(error, path, container) from None
    try:
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            raise NotADirectory(path)
        return tuple(part for part in _path_of(root_fd, found).split(b"/") if part)
    finally:
        os.close(found)


def _check_mounted(root_fd: int, parts: tuple[bytes, ...]) -> None:
    """A read-only root refuses what does not go into something mounted in it."""
    try:
        path = b"/".join(parts) or b"."
        found = open_beneath(root_fd, path, os.O_PATH, symlinks=False, other_mounts=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return
        raise
    os.close(found)
    raise ReadOnlyRoot


def _owner(container: Container, root_fd: int) -> tuple[int, int] | None:
    if not container.config.user:
        return None
    user = users.resolve(root_fd, container.config.user)
    return user.uid, user.gid


def _not_found(error: OSError, path: str, container: Container) -> Exception:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return PathNotFound(path, container)
    return error


def _by(fd: int) -> str:
    """A path of the directory that *fd* is open on; its dot keeps it from being a link."""
    return f"/proc/self/fd/{fd}/."


def _go_mode(mode: int) -> int:
    special = sum(go for bit, go in _GO_BITS.items() if mode & bit)
    return (mode & 0o777) | _GO_TYPES.get(stat.S_IFMT(mode), 0) | special


def _time(found: os.stat_result) -> str:
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{nanoseconds:09d}".rstrip("0").rstrip(".") + "Z"
