"""The sources of COPY and ADD: patterns as Go's `filepath.Match` reads them, found below a root.

Links on the way mean the root's own files; nothing outside is ever looked at.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
from functools import lru_cache
from pathlib import Path

from lading.errors import Invalid
from lading.linux.paths import open_in_root

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_SPECIAL = re.compile(rb"[*?\[\\]")
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class BadPattern(Invalid):
    """Raised for a pattern that cannot be one, in Go's words."""

    def __init__(self, pattern: bytes) -> None:
        super().__init__(f"syntax error in pattern: {os.fsdecode(pattern)!r}")


def cleaned(path: str) -> bytes:
    """*path* below a root, without outer slashes; ``..`` ends at the root."""
    return os.fsencode(posixpath.normpath("/" + path.lstrip("/")).strip("/"))


def is_pattern(path: bytes) -> bool:
    """Whether *path* names files by more than their letters."""
    return _SPECIAL.search(path) is not None


def found(root_fd: int, pattern: bytes) -> list[bytes]:
    """The paths below the root that *pattern* (cleaned) means, sorted; BadPattern.

    Without wildcards it is the path itself, if it exists.
    """
    paths = [b""]
    for part in pattern.split(b"/") if pattern else ():
        paths = [inner for path in paths for inner in _matching(root_fd, path, part)]
    return sorted(paths)


def real(root_fd: int, path: bytes) -> bytes | None:
    """*path* with all links in it followed inside the root; None where that leads nowhere."""
    try:
        fd = open_in_root(root_fd, path or b".", os.O_PATH)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    try:
        return path_of(root_fd, fd)
    finally:
        os.close(fd)


def path_of(root_fd: int, fd: int) -> bytes:
    """The path of an open file below the root, without outer slashes."""
    root, place = (os.fsencode(Path(f"/proc/self/fd/{each}").readlink()) for each in (root_fd, fd))
    return place[len(root.rstrip(b"/")) :].strip(b"/")


def status(root_fd: int, path: bytes) -> os.stat_result | None:
    """What is at *path*, a last link itself; None where nothing is."""
    try:
        fd = open_in_root(root_fd, path or b".", os.O_PATH | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def is_directory(root_fd: int, path: bytes) -> bool:
    """Whether *path* is a directory itself."""
    found_there = status(root_fd, path)
    return found_there is not None and stat.S_ISDIR(found_there.st_mode)


def _matching(root_fd: int, path: bytes, part: bytes) -> list[bytes]:
    above = path + b"/" if path else b""
    if not is_pattern(part):
        return [above + part] if status(root_fd, above + part) is not None else []
    wanted = compiled(part)
    return [above + name for name in _names(root_fd, path) if wanted.fullmatch(name)]


def _names(root_fd: int, path: bytes) -> list[bytes]:
    try:
        fd = open_in_root(root_fd, path or b".", _DIRECTORY)
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise
    try:
        with os.scandir(fd) as rows:
            return [os.fsencode(row.name) for row in rows]
    finally:
        os.close(fd)


@lru_cache(maxsize=64)
def compiled(part: bytes) -> re.Pattern[bytes]:
    """One component of a pattern as an expression; BadPattern."""
    out, at = b"", 0
    while at < len(part):
        letter = part[at : at + 1]
        at += 1
        if letter == b"*":
            out += b"" if out.endswith(b"[^/]*") else b"[^/]*"
        elif letter == b"?":
            out += b"[^/]"
        elif letter == b"[":
            piece, at = _bracket(part, at)
            out += piece
        else:
            if letter == b"\\":
                letter, at = part[at : at + 1], at + 1
                if not letter:
                    raise BadPattern(part)
            out += re.escape(letter)
    return re.compile(out, re.DOTALL)


def _bracket(part: bytes, at: int) -> tuple[bytes, int]:
    """A class of letters, from behind its bracket."""
    negated = part[at : at + 1] == b"^"
    at += negated
    out = b""
    while at < len(part) and (part[at : at + 1] != b"]" or not out):
        low, at = _letter(part, at)
        high = low
        if part[at : at + 1] == b"-":
            high, at = _letter(part, at + 1)
        if low > high:
            raise BadPattern(part)
        out += re.escape(low) + b"-" + re.escape(high)
    if at >= len(part):
        raise BadPattern(part)
    return (b"[^/" if negated else b"[") + out + b"]", at + 1


def _letter(part: bytes, at: int) -> tuple[bytes, int]:
    if part[at : at + 1] == b"\\":
        at += 1
    if at >= len(part) or (part[at : at + 1] in (b"-", b"]") and part[at - 1 : at] != b"\\"):
        raise BadPattern(part)
    return part[at : at + 1], at + 1
