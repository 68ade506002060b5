"""How many bytes the files of a tree hold, whatever is done to it meanwhile."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from lading.linux.paths import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def size_of(directory: Path) -> int:
    """The sizes of all files below *directory* together, hard links counted once.

    Links are not followed; what cannot be looked at, or has gone meanwhile, counts as nothing.
    """
    try:
        top = os.open(directory, _DIRECTORY)
    except OSError:
        return 0
    try:
        return _below(top)
    finally:
        os.close(top)


def _below(top: int) -> int:
    total, waiting = 0, [b"."]
    seen: set[tuple[int, int]] = set()
    while waiting:
        path = waiting.pop()
        for name, found in _listing(top, path):
            if stat.S_ISDIR(found.st_mode):
                waiting.append(path + b"/" + name)
            elif found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_size
    return total


def _listing(top: int, path: bytes) -> list[tuple[bytes, os.stat_result]]:
    found = []
    with suppress(OSError):
        directory = open_beneath(top, path, _DIRECTORY, symlinks=False)
        try:
            with os.scandir(directory) as rows:
                for row in rows:
                    with suppress(OSError):
                        found.append((os.fsencode(row.name), row.stat(follow_symlinks=False)))
        finally:
            os.close(directory)
    return found
