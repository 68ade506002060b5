"""Stop a build from outside: what runs is ended, what comes next does not begin."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from lading.errors import Unavailable


class Cancelled(Unavailable):
    """Raised in a build that nobody wants any more."""

    def __init__(self) -> None:
        super().__init__("the build was cancelled")


class Cancellation:
    """Shared between a build and whoever may end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._enders: list[Callable[[], None]] = []
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def cancel(self) -> None:
        """End what runs; idempotent, from any thread."""
        with self._lock:
            self._is_cancelled = True
            enders = list(self._enders)
        for end in enders:
            with suppress(OSError):
                end()

    def check(self) -> None:
        """Cancelled, once it is."""
        if self._is_cancelled:
            raise Cancelled

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Around what *end* can cut short; Cancelled afterwards where it was."""
        with self._lock:
            self._enders.append(end)
            late = self._is_cancelled
        try:
            if late:
                end()
            yield
        finally:
            with self._lock:
                self._enders.remove(end)
        self.check()
