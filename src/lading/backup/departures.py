"""Containers that are leaving this engine: what was decided is kept, so that one side has them.

Whatever cuts a migration off, here or there, the container is taken back as soon as it is sure
that the other side does not have it, and let go as soon as it is sure that it does.  While
neither is known it stays stopped here.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

import msgspec

from lading.backup.origin import Origin
from lading.backup.peer import Peer, PeerGone
from lading.container.clearing import Clearer
from lading.container.options import RestartPolicy
from lading.container.record import Container
from lading.container.states import State
from lading.errors import LadingError, NotFound, Unavailable
from lading.store.database import Database
from lading.store.records import Records

_LOG = logging.getLogger(__name__)
_AGAIN = 1.0  # seconds between two questions to an engine that does not answer
FROZEN, STOPPED, ASKED = "frozen", "stopped", "asked"


class InDoubt(Unavailable):
    """Raised where nobody can tell yet whether the other side has the container."""

    def __init__(self, name: str, host: str) -> None:
        super().__init__(
            f"{host} does not answer, and may have started {name}: it stays stopped here, and is "
            f"settled when {host} answers again; if it surely does not run there, start it here"
        )


class Departure(msgspec.Struct, frozen=True):
    """One container on its way: *phase* is how far it has come, the others how it was."""

    container: str
    name: str
    path: str  # of the other engine's socket
    host: str
    was_running: bool
    policy: RestartPolicy
    keep_source: bool = False
    phase: str = FROZEN

    @property
    def peer(self) -> Peer:
        return Peer(self.path, self.host)


class Departures:
    """All containers that are leaving; safe to use from any thread."""

    def __init__(self, origin: Origin, clearer: Clearer, database: Database) -> None:
        self._origin, self._clearer = origin, clearer
        self._records: Records[Departure] = Records(database, "departure", Departure)
        self._closed = threading.Event()
        self._lock = threading.RLock()

    def open(self) -> None:
        """Settle what an engine before this one left half done; what must wait, waits aside."""
        for migration in self._records.all():
            self._later(migration)

    def close(self) -> None:
        self._closed.set()

    def known(self, container_id: str) -> bool:
        """Whether it is leaving."""
        return any(each.container == container_id for each in self._records.all().values())

    def freeze(self, migration: str, departure: Departure) -> None:
        """Let it stand still; it goes on when this comes to nothing."""
        self._records.put(migration, departure)
        if departure.was_running:
            self._origin.control.pause(departure.container)

    def stop(self, migration: str) -> None:
        """End it here, as it stands; its ports are free on return, and no policy starts it."""
        departure = self._to_phase(migration, STOPPED)
        self._set_policy(departure.container, RestartPolicy())
        if departure.was_running:
            self._origin.control.kill(departure.container)

    def ask(self, migration: str) -> None:
        """From now on the other side may have it."""
        self._to_phase(migration, ASKED)

    def settle(self, migration: str, *, seconds: float) -> bool:
        """Whether the other side has it; what follows from that is done here.  InDoubt."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._settled(migration)
            except PeerGone:
                departure = self._records.get(migration)
                if departure is None:
                    return False
                if time.monotonic() > deadline:
                    self._later(migration)
                    raise InDoubt(departure.name, departure.host) from None
            time.sleep(0.2)

    def depart(self, migration: str) -> list[str]:
        """The other side has it: let it go here; the names of volumes that stay."""
        with self._lock:
            departure = self._records.get(migration)
            if departure is None:
                return []
            left = [] if departure.keep_source else self._remove(departure.container)
            self._records.delete(migration)
        with suppress(LadingError):
            departure.peer.post(f"/{migration}/forget")
        return left

    def _later(self, migration: str) -> None:
        thread = threading.Thread(
            target=self._wait, args=(migration,), name="migration", daemon=True
        )
        thread.start()

    def _wait(self, migration: str) -> None:
        while not self._closed.is_set():
            try:
                self._settled(migration)
                return
            except PeerGone:
                self._closed.wait(_AGAIN)
            except Exception:
                _LOG.exception("migration %s cannot be settled", migration)
                return

    def _settled(self, migration: str) -> bool:
        """Ask, and do what follows; PeerGone where that must wait."""
        with self._lock:
            departure = self._records.get(migration)
            if departure is None:
                return False
            if departure.phase == ASKED:
                if _has_it(departure.peer, migration):
                    self.depart(migration)
                    return True
            else:
                with suppress(LadingError):
                    departure.peer.post(f"/{migration}/leave")
            self._take_back(departure)
            self._records.delete(migration)
            return False

    def _take_back(self, departure: Departure) -> None:
        """It is as it was, or as near to that as can be."""
        try:
            container = self._set_policy(departure.container, departure.policy)
        except NotFound:
            return  # somebody removed it
        if not departure.was_running:
            return
        if container.state.status is State.PAUSED:
            self._origin.control.unpause(container.id)
        elif departure.phase != FROZEN and not container.running:
            _LOG.info("container %s is started again here", departure.name)
            self._origin.control.start(container.id)

    def _remove(self, container_id: str) -> list[str]:
        with suppress(NotFound):
            container = self._origin.roster.find(container_id).container
            self._clearer.remove(container_id, force=True, volumes=True)
            return self._remove_volumes(container)
        return []

    def _remove_volumes(self, container: Container) -> list[str]:
        left = []
        others = [slot.container for slot in self._origin.roster.slots()]

        def users(volume: str) -> list[str]:
            return [each.id for each in others if any(p.name == volume for p in each.mounts)]

        for name in {point.name for point in container.mounts if point.name}:
            try:
                self._origin.volumes.remove(name, force=True, users=users)
            except LadingError:
                left.append(name)
        return left

    def _to_phase(self, migration: str, phase: str) -> Departure:
        departure = self._records.get(migration)
        assert departure is not None
        moved = msgspec.structs.replace(departure, phase=phase)
        self._records.put(migration, moved)
        return moved

    def _set_policy(self, container_id: str, policy: RestartPolicy) -> Container:
        with self._origin.roster.locked(container_id) as slot:
            host = slot.container.host
            if host.restart_policy != policy:
                host = msgspec.structs.replace(host, restart_policy=policy)
                self._origin.roster.keep(slot, msgspec.structs.replace(slot.container, host=host))
            return slot.container


def _has_it(peer: Peer, migration: str) -> bool:
    """Whether the other side has confirmed; if not, it can do so no more.  PeerGone."""
    try:
        peer.post(f"/{migration}/leave")
        return bool(peer.get(f"/{migration}/state")["confirmed"])
    except LadingError as error:
        raise PeerGone(peer.host, error) from error
