"""Keep the logs of running containers from growing without end."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from lading.container import checks
from lading.container.places import Places
from lading.container.record import Container
from lading.container.roster import Roster
from lading.errors import LadingError, Unsupported
from lading.runtime import rotation

_LOG = logging.getLogger(__name__)
_EVERY = 1.0  # seconds; a log outgrows its limit by what is written in that time


class NoLog(Unsupported):
    """Raised where a container keeps no log, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("configured logging driver does not support reading")


class LogKeeper:
    """Look at every running container's log once a second, and rotate those that are full."""

    def __init__(self, places: Places, roster: Roster, *, most_bytes: int, most_files: int) -> None:
        self._places, self._roster = places, roster
        self._most_bytes, self._most_files = most_bytes, most_files
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def files(self, container: Container) -> list[Path]:
        """The log's files, oldest first; NoLog."""
        if container.host.log_config.type == "none":
            raise NoLog
        _, keep = self._limits(container)
        found = rotation.files(self._places.log(container.id), keep)
        return found or [self._places.log(container.id)]

    def _run(self) -> None:
        while not self._closing.wait(_EVERY):
            for slot in self._roster.slots():
                if slot.container.running and slot.container.host.log_config.type != "none":
                    self._look(slot.container)

    def _look(self, container: Container) -> None:
        log = self._places.log(container.id)
        try:
            most, keep = self._limits(container)
            if most and log.stat().st_size >= most:
                rotation.rotate(self._places.bundle(container.id), log, keep)
        except FileNotFoundError:
            return  # it ended, or has written nothing
        except (OSError, LadingError):
            _LOG.exception("the log of container %s cannot be rotated", container.short_id)

    def _limits(self, container: Container) -> tuple[int, int]:
        return checks.log_limits(container.host, self._most_bytes, self._most_files)
