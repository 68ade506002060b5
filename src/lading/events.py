"""What happened, and who wants to hear of it.

The bus keeps a short history for late listeners; listeners are called in the
publisher's thread, so they must be quick and hand longer work elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_LOG = logging.getLogger(__name__)
_HISTORY = 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, in Docker's vocabulary (``docker events``)."""

    kind: str  # container, image, volume, network, daemon
    action: str
    actor: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int = 0


Listener = Callable[[Event], None]


class Bus:
    """Publish events to listeners, and remember the latest ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._history: deque[Event] = deque(maxlen=_HISTORY)

    def publish(
        self, kind: str, action: str, actor: str, attributes: Mapping[str, str] | None = None
    ) -> Event:
        """Tell every listener; a listener that fails is logged and harms no other."""
        event = Event(kind, action, actor, dict(attributes or {}), time.time_ns())
        with self._lock:
            self._history.append(event)
            listeners = list(self._listeners)
        for listener in listeners:
            _tell(listener, event)
        return event

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* for every event from now on, until the returned function is called."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._unsubscribe(listener)

    def history(self) -> list[Event]:
        """The latest events, oldest first."""
        with self._lock:
            return list(self._history)

    def _unsubscribe(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except Exception:
        _LOG.exception("a listener failed on %s %s", event.kind, event.action)
