"""What can be seen of a tree of files, as a value that tests compare."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

Seen = tuple[object, ...]


def shown(root: Path) -> dict[bytes, Seen]:
    """Everything but access times and the sizes of directories, by path.

    Links are not followed; contents stand as their digests.
    """
    return dict(_rows(os.fsencode(root), b"."))


def _rows(root: bytes, path: bytes) -> Iterator[tuple[bytes, Seen]]:
    waiting = [path]
    while waiting:
        path = waiting.pop()
        place = os.path.join(root, path)
        status = os.lstat(place)
        yield path, _seen(place, status)
        if stat.S_ISDIR(status.st_mode):
            waiting += [os.path.join(path, name) for name in os.listdir(place)]


def _seen(place: bytes, status: os.stat_result) -> Seen:
    names = os.listxattr(place, follow_symlinks=False)
    is_directory = stat.S_ISDIR(status.st_mode)
    return (
        oct(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        0 if is_directory else status.st_nlink,
        0 if is_directory else status.st_size,
        status.st_rdev,
        _content(place, status),
        {name: os.getxattr(place, name, follow_symlinks=False) for name in names},
    )


def _content(place: bytes, status: os.stat_result) -> bytes | str | None:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(place)
    if not stat.S_ISREG(status.st_mode):
        return None
    with open(place, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
