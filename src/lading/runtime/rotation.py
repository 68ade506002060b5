"""Give a container a new log file while it writes, and lose no line of the old one.

conmon, asked to reopen its log, replaces the file at the log's path.  So the old file first
gets a second name, ``log.1``; from then on it cannot be lost, wherever this is interrupted.
While both names mean one file, the change is under way.
"""

from __future__ import annotations

import fcntl
import os
import termios
import time
from contextlib import suppress
from pathlib import Path

from lading.runtime.conmon import reopen_log

_SECONDS = 1.0
_PAUSE = 0.001


def rotate(bundle: Path, log: Path, keep: int) -> bool:
    """Begin a new file at *log*; *keep* files are kept, the new one among them.

    False when conmon has not followed within a second: it is held up by a client that does
    not read, will follow when it can, and asking again then is right.  One caller at a time.
    """
    old = _numbered(log, 1)
    if _is_same(log, old):
        if _is_asked(bundle) or _follows(log, old):
            return not _is_same(log, old)
    elif not _keep_as(log, old, keep):
        return False
    reopen_log(bundle)
    if not _follows(log, old):
        return False
    _drop(log, keep)
    return True


def files(log: Path, keep: int) -> list[Path]:
    """The log's files that there are, oldest first; none of them twice."""
    paths = [*(_numbered(log, number) for number in range(keep, 0, -1)), log]
    found: dict[tuple[int, int], Path] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _keep_as(log: Path, old: Path, keep: int) -> bool:
    """Move the older files on by one number, and give the newest its second name."""
    for number in range(max(keep - 1, 1), 0, -1):
        with suppress(FileNotFoundError):
            _numbered(log, number).replace(_numbered(log, number + 1))
    try:
        os.link(log, old)
    except FileNotFoundError:
        return False
    return True


def _drop(log: Path, keep: int) -> None:
    for number in range(max(keep, 1), max(keep, 1) + 2):
        _numbered(log, number).unlink(missing_ok=True)


def _follows(log: Path, old: Path) -> bool:
    """Whether conmon puts a new file in place, waiting a while for it."""
    deadline = time.monotonic() + _SECONDS
    while _is_same(log, old):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _is_same(log: Path, old: Path) -> bool:
    try:
        return log.samefile(old)
    except FileNotFoundError:
        return False


def _is_asked(bundle: Path) -> bool:
    """Whether a message waits in the fifo, which conmon has not come to read.

    A second one would make it reopen twice, and drop what it wrote between.
    """
    try:
        fd = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return any(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))
    finally:
        os.close(fd)
