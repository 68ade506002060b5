"""Bring a container to another engine: rounds while it runs, one more while it stands still.

Each round is a backup to a depot at the other side, which lays it out at once.  The container is
stopped here only when it lies there whole, and started here again unless the other side has
confirmed it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from lading.backup import bill as bills
from lading.backup import prospect
from lading.backup import target as targets
from lading.backup.creating import Creation, Made
from lading.backup.departures import Departure, Departures
from lading.backup.depot import Depot, read_target
from lading.backup.hosting import VERSION, network_namespace
from lading.backup.locations import Location
from lading.backup.origin import Origin
from lading.backup.packing import Chunk
from lading.backup.peer import Peer, RemotePlace
from lading.backup.plan import CannotRestore
from lading.backup.sources import BackupRequest
from lading.container.record import Container
from lading.container.states import State
from lading.errors import Conflict, Invalid, Unavailable, Unsupported
from lading.image.progress import Listener, silent
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

Tell = Callable[[dict[str, Any]], None]
_SMALL = 4 * 1024 * 1024  # bytes of a round after which another is not worth it
_GAIN = 0.7  # of the round before it, above which a round has not gained enough
_TRIAL = 0.5  # seconds that a container without a health check must last
_POLL = 0.02
_DOUBT = 10.0


class Cancelled(Conflict):
    """Raised where somebody gave the migration up."""

    def __init__(self) -> None:
        super().__init__("the migration was given up: the container is where it was")


class CannotMove(Conflict):
    """Raised for a container that is in no state to be migrated."""


class DidNotLast(Unavailable):
    """Raised where the container does not run, or is not well, at the other side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRequest:
    """What is to go where: *path* is the other engine's socket, *host* what people call it.

    *wishes* are those of the restore there, as it reads them.
    """

    name: str
    path: str
    host: str
    wishes: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    keep_source: bool = False
    most_rounds: int = 6
    health_seconds: float = 60.0


class Migration:
    """One run of ``migrate``; `give_up` may be called from any thread."""

    def __init__(
        self,
        origin: Origin,
        departures: Departures,
        request: MigrationRequest,
        *,
        tell: Tell,
        on_progress: Listener = silent,
    ) -> None:
        if request.most_rounds < 1:
            raise Invalid("--max-rounds must be at least 1")
        self._origin, self._departures, self._request = origin, departures, request
        self._tell, self._on_progress = tell, on_progress
        self._peer = Peer(request.path, request.host)
        self._id = secrets.token_hex(16)
        self._given_up = threading.Event()
        self._frozen_at = 0.0

    def give_up(self) -> None:
        """Stop where that is still possible: before the other side has confirmed."""
        self._given_up.set()

    def run(self) -> None:
        """The container is there, and gone here; or on any error here as it was."""
        container = self._origin.roster.find(self._request.name).container
        self._check_state(container)
        self._check_there(container)
        if self._request.dry_run:
            return
        with self._peer.held(f"/{self._id}/session"):
            depot = self._depot()
            self._rounds(depot, container)
            try:
                self._hand_over(depot, container)
            except BaseException as error:
                self._fall_back(error)

    def _check_state(self, container: Container) -> None:
        name, status = container.name, container.state.status
        if self._departures.known(container.id):
            raise CannotMove(f"container {name} is being migrated already")
        if status in (State.PAUSED, State.RESTARTING, State.REMOVING):
            raise CannotMove(f"container {name} is {status.value}: it cannot be migrated now")
        if container.host.auto_remove:
            raise CannotMove(f"container {name} is removed when it stops (--rm): run it without")

    def _check_there(self, container: Container) -> None:
        """Tell the table of what was looked at; CannotRestore."""
        facts = self._peer.get("/facts")
        if facts["version"] != VERSION:
            raise Unsupported(f"{self._request.host} speaks version {facts['version']} of this")
        shared = facts["network"] == network_namespace()
        bill = prospect.bill(container, self._origin)
        found = self._peer.post(
            "/check",
            {
                "bill": bills.encode(bill).decode(),
                "wishes": {**self._request.wishes, "start": container.running},
                "spare": prospect.ports(container) if shared else [],
            },
        )
        wanted = prospect.size(container, self._origin)
        problems = [str(each) for each in found["problems"]]
        if 2 * wanted > found["free"]:
            problems.append(f"not enough space: {2 * wanted} bytes are wanted there for a while")
        self._tell({"checks": prospect.table(problems, facts, wanted)})
        if problems:
            raise CannotRestore(problems)

    def _depot(self) -> Depot:
        place = _Watched(self._peer, self._id, self._check_wanted)
        document = read_target(place, place.names()[targets.TAG][0])
        location = Location(self._request.host, Path(self._request.path))
        return _Remembering(location, place, document, None)

    def _rounds(self, depot: Depot, container: Container) -> None:
        """Carry over what there is, while it runs, until little is left to carry."""
        last = 0
        for number in range(1, self._request.most_rounds + 1):
            made = self._round(depot, container, number)
            self._peer.post(f"/{self._id}/lay", self._about(made))
            depot.chunks(depot.stored())
            added = made.bill.added
            if not container.running or added < _SMALL or (number > 1 and added > _GAIN * last):
                return
            last = added

    def _round(self, depot: Depot, container: Container, number: int) -> Made:
        self._check_wanted()
        began = time.monotonic()
        request = BackupRequest(names=(container.id,), consistency="live", hooks=False)
        (made,) = Creation(self._origin, depot, request, self._on_progress).run()
        seconds = time.monotonic() - began
        size = sum(part.size for part in made.bill.parts)
        told = {"number": number, "bytes": made.bill.added, "size": size, "seconds": seconds}
        self._tell({"round": {**told, "live": not self._frozen_at}})
        return made

    def _hand_over(self, depot: Depot, container: Container) -> None:
        departures, request = self._departures, self._request
        self._check_wanted()
        departure = Departure(
            container=container.id,
            name=container.name,
            path=request.path,
            host=request.host,
            was_running=container.running,
            policy=container.host.restart_policy,
            keep_source=request.keep_source,
        )
        self._frozen_at = time.monotonic()
        departures.freeze(self._id, departure)
        made = self._round(depot, container, 0)
        came = self._peer.post(f"/{self._id}/restore", self._about(made))
        self._check_wanted()
        departures.stop(self._id)
        departures.ask(self._id)
        downtime = self._start() if container.running else 0.0
        self._check_wanted()
        self._peer.post(f"/{self._id}/confirm")
        left = departures.depart(self._id)
        self._tell({"done": {**came, "downtime": downtime, "volumes": left}})

    def _start(self) -> float:
        """It runs there, and is well; how long it stood still."""
        self._peer.post(f"/{self._id}/start")
        downtime = time.monotonic() - self._frozen_at
        self._tell({"started": {"downtime": downtime}})
        self._wait_until_well()
        return downtime

    def _wait_until_well(self) -> None:
        began = time.monotonic()
        while True:
            self._check_wanted()
            found = self._peer.get(f"/{self._id}/state")
            waited, health = time.monotonic() - began, found.get("health", "")
            if found.get("status") != "running":
                why = found.get("error") or f"exit code {found.get('exit_code')}"
                raise DidNotLast(f"it did not last at {self._request.host}: {why}")
            if health == "healthy" or (not health and waited > _TRIAL):
                return
            if health == "unhealthy" or (health and waited > self._request.health_seconds):
                raise DidNotLast(f"it is {health} at {self._request.host} after {waited:.0f} s")
            time.sleep(_POLL)

    def _fall_back(self, error: BaseException) -> None:
        """Take the container back, unless the other side has it after all."""
        if not self._departures.settle(self._id, seconds=_DOUBT):
            raise error
        self._tell({"done": {"name": self._request.name, "downtime": 0.0, "volumes": []}})

    def _about(self, made: Made) -> dict[str, Any]:
        return {"tag": made.bill.ref, "wishes": self._request.wishes}

    def _check_wanted(self) -> None:
        if self._given_up.is_set():
            raise Cancelled


class _Watched(RemotePlace):
    """The depot there, until the migration is given up."""

    def __init__(self, peer: Peer, migration: str, check: Callable[[], None]) -> None:
        super().__init__(peer, migration)
        self._check = check

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        self._check()
        super().add(descriptor, stream)


class _Remembering(Depot):
    """A depot that asks only once what a pack holds."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._known: dict[Digest, Mapping[bytes, Chunk]] = {}

    def chunks_of(self, packs: Iterable[Descriptor]) -> dict[bytes, Chunk]:
        found: dict[bytes, Chunk] = {}
        for pack in packs:
            if pack.digest not in self._known:
                self._known[pack.digest] = super().chunks_of([pack])
            for name, chunk in self._known[pack.digest].items():
                found.setdefault(name, chunk)
        return found
