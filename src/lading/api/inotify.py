"""Hear of changes in directories, in the event loop: inotify(7).

One descriptor serves every watcher; several may watch one directory.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_ONLY_DIRECTORY = 0x01000000
_HEADER = struct.Struct("iIII")
_READ = 64 * 1024


class Inotify:
    """Calls back when something is written, made or renamed in a watched directory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
        self._callbacks: dict[int, list[Callable[[], None]]] = {}
        loop.add_reader(self._fd, self._readable)

    def watch(self, directory: Path, callback: Callable[[], None]) -> Callable[[], None]:
        """Call *callback* at every change, until the returned function is called; OSError."""
        mask = _MODIFY | _MOVED_TO | _CREATE | _ONLY_DIRECTORY
        number = _LIBC.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        if number < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(directory))
        self._callbacks.setdefault(number, []).append(callback)
        return lambda: self._forget(number, callback)

    def close(self) -> None:
        """Watch nothing any more."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._callbacks.clear()

    def _forget(self, number: int, callback: Callable[[], None]) -> None:
        callbacks = self._callbacks.get(number, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks and self._callbacks.pop(number, None) is not None:
            _LIBC.inotify_rm_watch(self._fd, number)

    def _readable(self) -> None:
        try:
            content = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        changed: dict[int, None] = {}
        offset = 0
        while offset < len(content):
            number, _, _, length = _HEADER.unpack_from(content, offset)
            offset += _HEADER.size + length
            changed[number] = None
        for number in changed:
            self._tell(number)

    def _tell(self, number: int) -> None:
        told = self._callbacks if number < 0 else {number: self._callbacks.get(number, [])}
        for callbacks in list(told.values()):  # a negative number: the queue overflowed
            for callback in list(callbacks):
                callback()
