"""Wait for a container and join its streams: whoever asks is called back, and holds no thread."""

from __future__ import annotations

from lading.container.places import Places
from lading.container.roster import Roster, Slot
from lading.container.waiting import Cancel, OnEnd, OnSocket, Until
from lading.errors import Conflict
from lading.runtime import conmon


class NotRunning(Conflict):
    """Raised where only a live container has what is asked for, in Docker's words."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"Container {container_id} is not running")


class Watcher:
    """Callbacks for ends, connections for streams."""

    def __init__(self, places: Places, roster: Roster) -> None:
        self._places, self._roster = places, roster

    def watch(self, ref: str, condition: str, tell: OnEnd) -> Cancel:
        """Call *tell* once, with exit code and error, when it comes to *condition*.

        That is one of the API's ``not-running`` (which may be now), ``next-exit``, ``removed``.
        """
        slot = self._roster.find(ref)
        until = Until(condition)
        cancel = slot.waiting.for_end(until, tell)
        if _has_come(slot, until):
            state = slot.container.state
            slot.waiting.tell_now(tell, state.exit_code, state.error)
        return cancel

    def attach(self, ref: str, on_socket: OnSocket) -> Cancel:
        """Call *on_socket* with a connection to the streams: now, or before the next start."""
        with self._roster.locked(ref) as slot:
            if not slot.container.running:
                return slot.waiting.for_socket(on_socket)
            on_socket(conmon.connect(self._places.bundle(slot.container.id)))
        return _nothing

    def resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the terminal's size; NotRunning."""
        container = self._roster.find(ref).container
        if not container.running:
            raise NotRunning(container.id)
        conmon.resize(self._places.bundle(container.id), rows, columns)


def _has_come(slot: Slot, until: Until) -> bool:
    if slot.removed:
        return True
    return until is Until.NOT_RUNNING and not slot.container.state.status.is_up


def _nothing() -> None:
    """There is nothing to cancel."""
