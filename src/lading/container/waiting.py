"""Who waits for a container: for its end, for its removal, or for its attach socket."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from enum import Enum

_LOG = logging.getLogger(__name__)

OnEnd = Callable[[int, str], None]
OnSocket = Callable[[socket.socket], None]
Cancel = Callable[[], None]


class Until(Enum):
    """What is waited for; the value is the API's ``condition``."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


class Waiting:
    """Callbacks, each called once at most; the lock is never held while one runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._enders: dict[object, tuple[Until, OnEnd]] = {}
        self._attachers: dict[object, OnSocket] = {}

    def for_end(self, until: Until, callback: OnEnd) -> Cancel:
        """Call *callback* with exit code and error when it comes to that."""
        key = object()
        with self._lock:
            self._enders[key] = (until, callback)
        return lambda: self._cancel(key)

    def for_socket(self, callback: OnSocket) -> Cancel:
        """Call *callback* with a connection, before the process starts the next time."""
        key = object()
        with self._lock:
            self._attachers[key] = callback
        return lambda: self._cancel(key)

    def tell_now(self, callback: OnEnd, exit_code: int, error: str = "") -> None:
        """Tell one who waits for what has come already, unless it was told meanwhile."""
        with self._lock:
            keys = [key for key, ender in self._enders.items() if ender[1] is callback]
            for key in keys:
                del self._enders[key]
        if keys:
            callback(exit_code, error)

    def take_attachers(self) -> list[OnSocket]:
        """Those who wait for a connection, who wait no more."""
        with self._lock:
            taken, self._attachers = list(self._attachers.values()), {}
        return taken

    def ended(self, exit_code: int, error: str = "") -> None:
        """The process has ended: tell all but those who wait for the removal."""
        self._tell({Until.NOT_RUNNING, Until.NEXT_EXIT}, exit_code, error)

    def removed(self, exit_code: int, error: str = "") -> None:
        """The container is gone: tell everybody."""
        self._tell(set(Until), exit_code, error)

    def _tell(self, wanted: set[Until], exit_code: int, error: str) -> None:
        with self._lock:
            due = {key: ender for key, ender in self._enders.items() if ender[0] in wanted}
            for key in due:
                del self._enders[key]
        for _, callback in due.values():
            try:
                callback(exit_code, error)
            except Exception:
                _LOG.exception("a callback for the end of a container failed")

    def _cancel(self, key: object) -> None:
        with self._lock:
            self._enders.pop(key, None)
            self._attachers.pop(key, None)
