"""Names that operations in progress count on, so that nobody removes what they mean."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Claims:
    """How many operations count on each name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def __contains__(self, name: object) -> bool:
        with self._lock:
            return self._counts[str(name)] > 0

    @contextmanager
    def claim(self, names: Iterable[str]) -> Iterator[None]:
        """Count on *names* while the context lasts."""
        claimed = list(names)
        with self._lock:
            self._counts.update(claimed)
        try:
            yield
        finally:
            with self._lock:
                self._counts.subtract(claimed)
                self._counts += Counter()  # drops what is zero
