"""Where a destination lies in an image: links followed inside it, what is missing taken as said."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from lading.errors import Invalid
from lading.linux.paths import open_beneath

_MOST_LINKS = 40


class TooManyLinks(Invalid):
    """Raised for a destination whose links lead in a circle."""

    def __init__(self, path: str) -> None:
        super().__init__(f"too many links on the way to {path!r}")


@dataclass(frozen=True, slots=True)
class Landing:
    """A place in an image: *path* has no links in it; *mode* is None where nothing is yet."""

    path: bytes  # without outer slashes
    mode: int | None

    @property
    def is_directory(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)


def landing(root_fd: int | None, path: str) -> Landing:
    """Where *path*, which is absolute, leads; without a root nothing is there yet."""
    waiting = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    waiting.reverse()
    done: list[bytes] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == b"..":
            done = done[:-1]
            continue
        target = _link(root_fd, [*done, part])
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise TooManyLinks(path)
        if target.startswith(b"/"):
            done = []
        waiting += [p for p in reversed(target.split(b"/")) if p not in (b"", b".")]
    whole = b"/".join(done)
    return Landing(whole, mode_of(root_fd, whole))


def mode_of(root_fd: int | None, path: bytes) -> int | None:
    """The mode of what is at *path*, in which no directory is a link; None for nothing."""
    if root_fd is None:
        return None if path else stat.S_IFDIR | 0o755
    try:
        fd = open_beneath(root_fd, path or b".", os.O_PATH | os.O_NOFOLLOW, symlinks=True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)


def _link(root_fd: int | None, parts: list[bytes]) -> bytes | None:
    """What the link at *parts* says; None for anything else."""
    if root_fd is None:
        return None
    mode = mode_of(root_fd, b"/".join(parts))
    if mode is None or not stat.S_ISLNK(mode):
        return None
    above = b"/".join(parts[:-1]) or b"."
    fd = open_beneath(root_fd, above, os.O_PATH | os.O_DIRECTORY, symlinks=False)
    try:
        return os.readlink(parts[-1], dir_fd=fd)
    finally:
        os.close(fd)
