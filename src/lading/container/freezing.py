"""Hold a running container still for a moment, and let it go on whatever happens.

A mark beside the container tells the next engine of a moment that this one did not live to
end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lading.container.announcing import Announcer
from lading.container.places import Places
from lading.container.roster import Slot
from lading.container.states import State
from lading.errors import LadingError
from lading.runtime.oci import Runtime

_LOG = logging.getLogger(__name__)
_MARK = "frozen"
_MILLISECOND = 1_000_000


class Pause:
    """How long a container stood still: nothing until that is over, or where it did not run."""

    def __init__(self) -> None:
        self.milliseconds = 0


class Freezer:
    """Freeze containers for a moment."""

    def __init__(self, runtime: Runtime, places: Places, announcer: Announcer) -> None:
        self._runtime, self._places, self._announcer = runtime, places, announcer

    @contextmanager
    def frozen(self, slot: Slot) -> Iterator[Pause]:
        """The container, standing still while the context lasts; the caller holds its lock.

        One that does not run, or is paused already, is left as it is.  FreezeFailed.
        """
        pause = Pause()
        if slot.container.state.status is not State.RUNNING:
            yield pause
            return
        mark = self._mark(slot.container.id)
        mark.touch(mode=0o600)
        began = time.monotonic_ns()
        try:
            self._runtime.pause(slot.container.id)
            slot.container = slot.container.with_state(status=State.PAUSED)
            self._announcer.tell(slot.container, "pause")
            yield pause
        finally:
            self._runtime.resume(slot.container.id)
            # A part of a millisecond counts: what stood still was not without a pause.
            pause.milliseconds = -((began - time.monotonic_ns()) // _MILLISECOND)
            mark.unlink()
            if slot.container.state.status is State.PAUSED:
                slot.container = slot.container.with_state(status=State.RUNNING)
                self._announcer.tell(slot.container, "unpause")

    def recover(self, container_ids: Iterable[str]) -> None:
        """Let those go on that an engine before this one held when it ended."""
        for container_id in container_ids:
            mark = self._mark(container_id)
            if not mark.exists():
                continue
            try:
                self._runtime.resume(container_id)
            except (OSError, LadingError) as error:  # it ended meanwhile: there is no such group
                _LOG.info("container %s cannot be thawed: %s", container_id[:12], error)
            mark.unlink()

    def _mark(self, container_id: str) -> Path:
        return self._places.directory(container_id) / _MARK
