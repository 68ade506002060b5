"""The disk of a host whose power is cut: the file behind it, copied at one moment."""

from __future__ import annotations

import subprocess
from pathlib import Path

_TRIES = 50


def cut(disk: Path) -> Path:
    """A copy of *disk* as it is now; whoever writes on it is held meanwhile.

    The kernel may go on writing back, and a copy of several moments would be no disk that
    ever was: one that was written to meanwhile is made again.
    """
    copy = disk.with_name("copy")
    for _ in range(_TRIES):
        before = disk.stat().st_mtime_ns
        subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
        if disk.stat().st_mtime_ns == before:
            return copy
    raise AssertionError("the disk never stood still")
