"""A few things made ahead of need, by a thread that waits for a quiet moment."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_QUIET = 0.25  # seconds after a take: the start that took one has the processors first


class Pool(Generic[T]):
    """Up to *size* things from *make*; what nobody takes goes to *unmake*."""

    def __init__(self, make: Callable[[], T], unmake: Callable[[T], None], size: int) -> None:
        self._make = make
        self._unmake = unmake
        self._size = size
        self._ready: deque[T] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._filler: threading.Thread | None = None

    def take(self) -> T | None:
        """One of them, None when none is ready; another is made later."""
        with self._lock:
            taken = self._ready.popleft() if self._ready else None
        self.fill(after=_QUIET)
        return taken

    def fill(self, *, after: float = 0.0) -> None:
        """Begin to fill, *after* so many seconds; returns at once."""
        with self._lock:
            if self._closed.is_set() or (self._filler is not None and self._filler.is_alive()):
                return
            self._filler = threading.Thread(
                target=self._fill, args=(after,), name="network-pool", daemon=True
            )
            self._filler.start()

    def drain(self) -> None:
        """Unmake what is ready."""
        while True:
            with self._lock:
                if not self._ready:
                    return
                spare = self._ready.popleft()
            self._unmake(spare)

    def close(self) -> None:
        """Unmake all, and make no more.  Idempotent."""
        with self._lock:
            self._closed.set()
            filler = self._filler
        if filler is not None:
            filler.join()
        self.drain()

    def _fill(self, after: float) -> None:
        self._closed.wait(after)
        while not self._closed.is_set() and len(self._ready) < self._size:
            try:
                made = self._make()
            except Exception as error:
                _LOG.warning("cannot prepare a network namespace: %s", error)
                return
            with self._lock:
                self._ready.append(made)
