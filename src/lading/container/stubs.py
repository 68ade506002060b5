"""Empty files and directories that are made in a root only to be mounted over.

The image has not got them and the user did not make them, so they are no change of the
container's: they are remembered here, and left out of diff and commit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from lading.layer.change import Change, Kind
from lading.linux.paths import open_in_root
from lading.runtime import roots

_RECORD = "stubs.json"
_DIRECTORIES = ("/dev", "/proc", "/sys")


class _Facts(msgspec.Struct, frozen=True):
    """What is not to change in a directory when a stub is made in it."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int


class _Stubs(msgspec.Struct, frozen=True):
    """*made*: paths without outer slashes; *parents*: directories as they were before."""

    made: list[str] = []
    parents: dict[str, _Facts | None] = {}


def make(
    root_fd: int, files: Iterable[str], directory: Path, *, directories: Iterable[str] = ()
) -> None:
    """Make what is missing of *files*, *directories* and what the kernel fills.

    It is remembered in *directory*.  Raises HostileRoot where links in the root would mislead.
    """
    known = _read(directory)
    made, parents = list(known.made), dict(known.parents)
    wanted = (*_DIRECTORIES, *directories)
    for path, is_directory in (*((d, True) for d in wanted), *((f, False) for f in files)):
        missing = list(_missing(root_fd, path))
        if missing:
            above = missing[0].rpartition("/")[0]
            parents.setdefault(above, _facts(root_fd, above))
            os.close(roots.ensure(root_fd, path, directory=is_directory))
            _restore(root_fd, above, parents[above])
            made += missing
    if made != known.made:
        (directory / _RECORD).write_bytes(msgspec.json.encode(_Stubs(made, parents)))


def without(changes: Iterable[Change], rootfs: Path, directory: Path) -> list[Change]:
    """*changes* less the stubs that nobody has filled, and directories changed only by them."""
    stubs = _read(directory)
    if not stubs.made:
        return list(changes)
    root_fd = roots.open_root(rootfs)
    try:
        return list(reversed(list(_kept(list(changes), stubs, root_fd))))
    finally:
        os.close(root_fd)


def _kept(changes: list[Change], stubs: _Stubs, root_fd: int) -> Iterator[Change]:
    """From the last change to the first: children before their parents."""
    needed: set[str] = set()  # directories with a change in them that stays
    for change in reversed(changes):
        path = os.fsdecode(change.path)
        if path not in needed:
            if change.kind is Kind.ADDED and path in stubs.made and _is_empty(root_fd, path):
                continue
            if change.kind is Kind.MODIFIED and stubs.parents.get(path) == _facts(root_fd, path):
                continue
        needed.add(path.rpartition("/")[0])
        yield change


def _missing(root_fd: int, path: str) -> Iterator[str]:
    """The parts of *path* that are not there, from the top; none where a link is on the way."""
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        part = "/".join(parts[:depth])
        try:
            os.close(open_in_root(root_fd, os.fsencode(part), os.O_PATH | os.O_NOFOLLOW))
        except FileNotFoundError:
            yield part


def _facts(root_fd: int, path: str) -> _Facts | None:
    try:
        fd = open_in_root(root_fd, os.fsencode(path) or b"/", os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return _Facts(found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns)


def _restore(root_fd: int, path: str, facts: _Facts | None) -> None:
    """Give a directory its time back."""
    if facts is None:
        return
    fd = open_in_root(root_fd, os.fsencode(path) or b"/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.utime(fd, ns=(facts.mtime_ns, facts.mtime_ns))
    finally:
        os.close(fd)


def _is_empty(root_fd: int, path: str) -> bool:
    try:
        fd = open_in_root(root_fd, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and not found.st_size)


def _read(directory: Path) -> _Stubs:
    try:
        return msgspec.json.decode((directory / _RECORD).read_bytes(), type=_Stubs)
    except (OSError, msgspec.DecodeError):
        return _Stubs()
