"""Open paths that a stranger chose without ever leaving a directory: openat2(2).

The kernel resolves every component, symbolic links included, beneath the root it is given, so
there is no gap between a check and its use.
"""

from __future__ import annotations

import ctypes
import errno
import os

_SYS_OPENAT2 = 437  # on every architecture
_NO_XDEV = 0x01
_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_IN_ROOT = 0x10
_TRIES = 128  # a rename elsewhere makes the kernel give up; asking again is the remedy

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_in_root(root_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open *path* as a process chrooted into *root_fd* would; the caller closes what it gets.

    Absolute links and ``..`` stay inside; magic links of /proc are refused (ELOOP).  Closed on
    exec.  Raises OSError as open(2) does.
    """
    return _open(root_fd, path, flags, mode, _IN_ROOT | _NO_MAGICLINKS)


def open_beneath(
    root_fd: int,
    path: bytes,
    flags: int,
    mode: int = 0,
    *,
    symlinks: bool = True,
    other_mounts: bool = True,
) -> int:
    """Open *path* below *root_fd*; whatever would lead out is refused (EXDEV).

    Without *symlinks* any link on the way is refused (ELOOP), without *other_mounts* any
    mount point (EXDEV).  Closed on exec.  Raises OSError as open(2) does.
    """
    resolve = _BENEATH | _NO_MAGICLINKS
    resolve |= 0 if symlinks else _NO_SYMLINKS
    resolve |= 0 if other_mounts else _NO_XDEV
    return _open(root_fd, path, flags, mode, resolve)


def _open(root_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    if b"\0" in path:
        raise ValueError("embedded null byte")
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    error = 0
    for _ in range(_TRIES):
        fd = _libc.syscall(_SYS_OPENAT2, root_fd, path, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        error = ctypes.get_errno()
        if error not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(error, os.strerror(error), os.fsdecode(path))
