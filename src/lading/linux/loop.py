"""Block devices that are files: loop(4), for file systems that mount nothing else."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONTROL = Path("/dev/loop-control")
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_SECTOR = 512
# struct loop_config: descriptor, block size, struct loop_info64 (flags and name alone), reserved.
_CONFIG = struct.Struct("<II 48x II 64s 64x 32x 16x 64x")
_TRIES = 64  # others look for a free device at the same time


@contextmanager
def attached(path: Path) -> Iterator[Path]:
    """A block device that reads *path*; it goes away when its last user closes it.

    So mount it before the context ends.  OSError where there are no loop devices.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        device, name = _attach(file, path)
    finally:
        os.close(file)
    try:
        yield name
    finally:
        os.close(device)


def _attach(file: int, path: Path) -> tuple[int, Path]:
    label = os.fsencode(path)[-63:]
    config = _CONFIG.pack(file, _SECTOR, 0, _READ_ONLY | _AUTOCLEAR, label)
    for _ in range(_TRIES):
        name = Path(f"/dev/loop{_free()}")
        device = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, _CONFIGURE, config)
        except OSError as error:
            os.close(device)
            if error.errno != errno.EBUSY:
                raise
        else:
            return device, name
    raise OSError(errno.EBUSY, "no free loop device", str(path))


def _free() -> int:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _GET_FREE)
    finally:
        os.close(control)
