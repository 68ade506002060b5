"""One at a time, among the threads of this process and the other processes on the same root."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """A lock with a file: whoever adds or removes a blob's file passes through it.

    So a blob is never taken away between the moment its file gets its name and the moment a
    row says that it is needed.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Alone for as long as the context lasts."""
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)
