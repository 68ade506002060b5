"""Files that survive a power cut, and copies made by the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path
from secrets import token_hex

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2
_COPY_AT_ONCE = 64 * 1024 * 1024


def fsync_directory(path: Path) -> None:
    """Make the names in *path* durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the content of *path* durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Make everything on the file system that holds *path* durable: syncfs(2)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace *path* by *content*: after a crash there is the old file or the new one."""
    part = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(descriptor, mode)  # whatever the umask is
            os.fsync(descriptor)
        part.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    fsync_directory(path.parent)


def write_back(descriptor: int, offset: int, length: int) -> None:
    """Begin to write that range to disk, without waiting: the fsync at the end is short then."""
    _LIBC.sync_file_range(
        descriptor,
        ctypes.c_int64(offset),
        ctypes.c_int64(length),
        ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
    )


def copy_range(source: int, target: int, length: int) -> None:
    """Copy *length* bytes between the descriptors' positions, in the kernel where it can."""
    while length > 0:
        try:
            copied = os.copy_file_range(source, target, min(length, _COPY_AT_ONCE))
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            copied = _copy_by_hand(source, target, min(length, 1 << 20))
        if copied == 0:
            raise EOFError("the source is shorter than expected")
        length -= copied


def _copy_by_hand(source: int, target: int, length: int) -> int:
    content = os.read(source, length)
    view = memoryview(content)
    while view:
        view = view[os.write(target, view) :]
    return len(content)
