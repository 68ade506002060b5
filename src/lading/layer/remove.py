"""Remove trees by descriptor: no link is followed, and no depth is too deep."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(parent: int, name: bytes) -> None:
    """Remove the directory *name* below the descriptor *parent*, and all in it; OSError."""
    top = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        empty(top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def empty(top: int) -> None:
    """Remove everything in the directory that *top* is open on.

    Inner directories are first moved up to *top*: that keeps two descriptors open, however
    deep the tree is.
    """
    names = (b".lading-%d" % n for n in itertools.count())
    found = _unlink_files(top)
    while found:
        for name in found:
            inner = os.open(name, _DIRECTORY, dir_fd=top)
            try:
                for deeper in _unlink_files(inner):
                    _move_up(inner, deeper, top, names)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
        found = _unlink_files(top)


def _unlink_files(directory: int) -> list[bytes]:
    """Unlink what is no directory; the names of those that are."""
    with os.scandir(directory) as listing:
        rows = [(os.fsencode(row.name), row.is_dir(follow_symlinks=False)) for row in listing]
    for name, is_directory in rows:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in rows if is_directory]


def _move_up(inner: int, name: bytes, top: int, names: Iterator[bytes]) -> None:
    new = next(free for free in names if not _exists(top, free))
    os.rename(name, new, src_dir_fd=inner, dst_dir_fd=top)


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
