"""Who changed what: one line of JSON each, in a file that rotates."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 64 * 1024 * 1024
_LONGEST = 512


class Audit:
    """The audit log at *path*; the file before the last rotation is kept as ``.1``."""

    def __init__(
        self,
        path: Path,
        *,
        most: int = _MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._most, self._clock = path, most, clock
        self._lock = threading.Lock()
        self._fd = _opened(path)

    def note(self, event: str, user: str, address: str, **facts: str) -> None:
        """Write one line; what the disk refuses is logged, and refuses nobody's request."""
        line = {"time": self._moment(), "event": event, "user": user, "from": address}
        line.update({key: value for key, value in facts.items() if value})
        cut = {key: value[:_LONGEST] for key, value in line.items()}
        try:
            with self._lock:
                self._rotate()
                os.write(self._fd, msgspec.json.encode(cut) + b"\n")
        except OSError as error:
            _LOG.error("cannot write the audit log: %s", error)

    def close(self) -> None:
        os.close(self._fd)

    def _moment(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))

    def _rotate(self) -> None:
        if os.fstat(self._fd).st_size < self._most:
            return
        self._path.rename(self._path.with_name(self._path.name + ".1"))
        fresh = _opened(self._path)
        os.close(self._fd)
        self._fd = fresh


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
