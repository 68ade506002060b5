"""Migrations from this engine and to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lading.backup.departures import Departures
from lading.backup.hosting import Hosting
from lading.backup.migrating import Migration, MigrationRequest
from lading.backup.origin import Origin
from lading.errors import Conflict
from lading.image.progress import Listener


class Migrations:
    """*hosting* takes other engines' containers; safe to use from any thread."""

    def __init__(self, origin: Origin, departures: Departures, hosting: Hosting) -> None:
        self._origin, self._departures = origin, departures
        self.hosting = hosting
        self._running: dict[str, Migration] = {}

    def open(self) -> None:
        """Undo or complete what was cut off."""
        self.hosting.open()
        self._departures.open()

    def close(self) -> None:
        self._departures.close()

    def run(
        self,
        key: str,
        request: MigrationRequest,
        *,
        tell: Callable[[dict[str, Any]], None],
        on_progress: Listener,
    ) -> None:
        """Migrate; `give_up` by that *key*."""
        migration = Migration(
            self._origin, self._departures, request, tell=tell, on_progress=on_progress
        )
        if self._running.setdefault(key, migration) is not migration:
            raise Conflict(f"there is a migration called {key[:64]!r} already")
        try:
            migration.run()
        finally:
            del self._running[key]

    def give_up(self, key: str) -> None:
        """Let the container go on here, if that is still possible; idempotent."""
        migration = self._running.get(key)
        if migration is not None:
            migration.give_up()
