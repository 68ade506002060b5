"""Events for any number of clients: one listener on the bus, a bounded queue for each client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lading.events import Bus, Event

_MOST_WAITING = 4096
_REMEMBERED = 1024


class Subscription:
    """One client's queue; a client too slow for it is cut off."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._ready = asyncio.Event()
        self.overrun = False

    def put(self, event: Event) -> None:
        """Queue *event*; called in the event loop."""
        if len(self._events) >= _MOST_WAITING:
            self.overrun = True
        else:
            self._events.append(event)
        self._ready.set()

    async def get(self) -> list[Event]:
        """The events that came since the last call; waits for one."""
        await self._ready.wait()
        self._ready.clear()
        events = list(self._events)
        self._events.clear()
        return events


class Feed:
    """Everything the bus says, brought into the event loop once and handed to each client."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._clients: set[Subscription] = set()
        self._history: deque[Event] = deque(bus.history(), _REMEMBERED)
        self._unsubscribe = bus.subscribe(self._heard)

    def __len__(self) -> int:
        """How many clients listen."""
        return len(self._clients)

    def history(self) -> list[Event]:
        """The latest events, oldest first.

        Whoever subscribes in the same step of the loop misses none and hears none twice.
        """
        return list(self._history)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Listen from now on, while the context lasts."""
        client = Subscription()
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    def close(self) -> None:
        """Hear no more of the bus."""
        self._unsubscribe()

    def _heard(self, event: Event) -> None:
        """Called in the publisher's thread."""
        try:
            self._loop.call_soon_threadsafe(self._spread, event)
        except RuntimeError:  # the loop has closed: nobody is left to tell
            self._unsubscribe()

    def _spread(self, event: Event) -> None:
        self._history.append(event)
        for client in self._clients:
            client.put(event)
