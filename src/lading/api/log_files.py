"""Read a container's log across its rotated files, from a point near its end, and go on reading.

Rotation renames the current file and makes a new one, so files are told apart by inode.
A file is left only when a newer one exists and it has been read to its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lading.runtime.logs import Entry, Parser

_PIECE = 64 * 1024
_LONGEST_LINE = 1024 * 1024  # a longer one is damage, and counts as a line's end


class LogReader:
    """The entries of a log, oldest first; *files* lists its files, oldest first, at each call."""

    def __init__(self, files: Callable[[], Sequence[Path]]) -> None:
        self._files = files
        self._parser = Parser()
        self._fd = -1
        self._offset = 0
        self._newest: Path | None = None

    def skip_to_last(self, count: int) -> None:
        """Begin *count* entries before the end; to be called before `read`."""
        paths = list(self._files())
        for path in reversed(paths):
            fd = _open(path)
            if fd < 0:
                continue
            offset, found = _last(fd, os.fstat(fd).st_size, count)
            if found >= count or path == paths[0]:
                self._fd, self._offset = fd, offset
                return
            os.close(fd)
            count -= found

    def read(self) -> list[Entry]:
        """The next entries, some at a time; none when all that is there has been read."""
        while True:
            entries = self._read_piece()
            if entries or not self._next_file():
                return entries

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read_piece(self) -> list[Entry]:
        """Entries from the file at hand; none at its end."""
        while self._fd >= 0:
            piece = os.pread(self._fd, _PIECE, self._offset)
            if not piece:
                return []
            self._offset += len(piece)
            if entries := self._parser.feed(piece):
                return entries
        return []

    def _next_file(self) -> bool:
        """Go on to the file after this one; False when this is the last."""
        current = os.fstat(self._fd) if self._fd >= 0 else None
        if current is not None and self._offset < current.st_size:
            return True  # it has grown since it was read
        if current is not None and self._newest and _is_at(self._newest, current):
            return False  # the common case, without asking which files there are
        paths = self._files()
        self._newest = paths[-1] if paths else None
        newer = _after(paths, current)
        fd = next((fd for path in newer if (fd := _open(path)) >= 0), -1)
        if fd < 0:
            return False
        self.close()
        self._fd, self._offset = fd, 0
        return True


def _after(paths: Sequence[Path], current: os.stat_result | None) -> Sequence[Path]:
    """The files newer than *current*; all of them when it is no longer there."""
    if current is None:
        return paths
    for index, path in enumerate(paths):
        if _is_at(path, current):
            return paths[index + 1 :]
    return paths


def _is_at(path: Path, file: os.stat_result) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return -1


def _last(fd: int, size: int, count: int) -> tuple[int, int]:
    """Where the last *count* entries of the file begin, and how many there are up to *count*."""
    found = 0
    for end, line in _lines_backwards(fd, size):
        if _ends_entry(line, last=end == size):
            if found == count:
                return end, found
            found += 1
    return 0, found


def _lines_backwards(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The file's lines, last first, each with the offset of its end."""
    end = size
    tail = b""  # the end of a line whose beginning has not been read
    while end:
        start = max(0, end - _PIECE)
        block = os.pread(fd, end - start, start) + tail
        where, end = start + len(block), start
        cut = block.find(b"\n") + 1 if start else 0
        if start and not cut and len(block) < _LONGEST_LINE:
            tail = block
            continue
        tail = block[:cut]
        for line in reversed(_split(block[cut:])):
            yield where, line
            where -= len(line)


def _split(block: bytes) -> list[bytes]:
    *whole, rest = block.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _ends_entry(line: bytes, *, last: bool) -> bool:
    """Whether an entry ends with this line of the file: ``time stream F|P content``."""
    parts = line.split(b" ", 3)
    return last or len(parts) < 3 or parts[2] != b"P"
