"""Namespaces made, entered and left again, by threads that live no longer than that.

A namespace belongs to a thread, so nothing here forks and the caller's own thread
never moves.  What keeps a namespace is a bind mount of ``/proc/thread-self/ns/net``
onto a file: that file is its name.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_CLONE_NEWNS = 0x20000
_MS_SLAVE_REC = 1 << 19 | 0x4000
_OWN_NETNS = b"/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)


def make_netns(path: Path, prepare: Callable[[], None] | None = None) -> None:
    """Make a network namespace and keep it at *path*, which must not exist.

    *prepare* runs inside it, in the thread that made it.  Either the namespace is there and
    prepared, or nothing is left; OSError says why.
    """

    def make() -> None:
        _check(_LIBC.unshare(_CLONE_NEWNET), path)
        with ExitStack() as undo:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o400))
            undo.callback(remove_netns, path)
            _check(_LIBC.mount(_OWN_NETNS, os.fsencode(path), None, _MS_BIND, None), path)
            if prepare is not None:
                prepare()
            undo.pop_all()

    _in_thread(make)


def inside(path: Path | str, function: Callable[[], T]) -> T:
    """What *function* returns when run in the namespace kept at *path*; its errors are raised."""

    def enter() -> T:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_LIBC.setns(descriptor, _CLONE_NEWNET), path)
        finally:
            os.close(descriptor)
        return function()

    return _in_thread(enter)


def apart(function: Callable[[], T]) -> T:
    """What *function* returns when run with a mount table of its own; its errors are raised.

    It sees what is mounted here; what it mounts nobody else sees, and it is gone afterwards.
    """

    def separate() -> T:
        _check(_LIBC.unshare(_CLONE_NEWNS), "/")
        _check(_LIBC.mount(b"none", b"/", None, _MS_SLAVE_REC, None), "/")
        return function()

    return _in_thread(separate, "mounts")


def remove_netns(path: Path) -> None:
    """Let go of the namespace kept at *path*; it ends with its last process.  Idempotent."""
    _LIBC.umount2(os.fsencode(path), _MNT_DETACH)  # not mounted: the file alone is left
    path.unlink(missing_ok=True)


def is_netns(path: Path) -> bool:
    """Whether a namespace is kept at *path* (and not merely the file it was kept at)."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except FileNotFoundError:
        return False


def _in_thread(function: Callable[[], T], name: str = "netns") -> T:
    """Run *function* in a thread of its own, which takes its namespace with it when it ends."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _check(result: int, path: Path | str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
