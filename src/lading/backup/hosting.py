"""The other side of a migration: a staging depot, volumes laid out ahead, a container on trial.

A guest is remembered before it is made.  Until it is confirmed it goes again whenever its
migration is over, whether that is told, seen by the end of its session, or found by the next
engine on this root.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lading.backup import plan as plans
from lading.backup.ahead import Ahead
from lading.backup.bill import Bill
from lading.backup.depot import Depot, open_depot
from lading.backup.layout import Layout
from lading.backup.locations import Location
from lading.backup.plan import CannotRestore, RestoreRequest
from lading.backup.restoring import Destination, Restoration
from lading.container.clearing import Clearer
from lading.container.record import Container
from lading.errors import Conflict, Invalid, LadingError, NotFound
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.store.database import Database
from lading.store.records import Records

_LOG = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{32}")
VERSION = 1


class NoSuchMigration(NotFound):
    """Raised for a migration that is not under way here."""

    def __init__(self, migration: str) -> None:
        super().__init__(f"no such migration: {migration[:64]}")


class Guest(msgspec.Struct, frozen=True):
    """A container that came, or is about to: *created* tells it from another of its name."""

    name: str
    created: int
    volumes: list[str] = []
    networks: list[str] = []  # that its restore makes
    image: str = ""  # where that was not here before
    confirmed: bool = False


class Session:
    """One migration that is under way: use `Hosting`."""

    def __init__(self, path: Path, destination: Destination, held: ExitStack) -> None:
        self.place = Layout(path, make=True)
        self.location = Location(str(path), path)
        self.ahead = Ahead(destination.volumes)
        self.lease = held.enter_context(destination.library.lease())
        self.held, self.path = held, path
        self.lock = threading.RLock()

    def depot(self) -> Depot:
        return open_depot(self.location, None)


class Hosting:
    """All migrations to this engine; safe to use from any thread."""

    def __init__(
        self,
        destination: Destination,
        clearer: Clearer,
        database: Database,
        staging: Path,
        remove_network: Callable[[str], object],
    ) -> None:
        self._to, self._clearer, self._staging = destination, clearer, staging
        self._guests: Records[Guest] = Records(database, "guest", Guest)
        self._remove_network = remove_network
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Remove what migrations left that were cut off with the engine before this one."""
        for migration, guest in self._guests.all().items():
            if not guest.confirmed:
                self._send_away(migration, guest)

    def facts(self) -> dict[str, Any]:
        """What the other side wants to know before it asks more."""
        found = os.statvfs(self._to.places.containers)
        return {
            "version": VERSION,
            "architecture": str(Platform.of_host()),
            "kernel": os.uname().release,
            "free": found.f_bavail * found.f_frsize,
            "network": network_namespace(),
        }

    def problems(
        self, bill: Bill, request: RestoreRequest, spare: Sequence[str]
    ) -> tuple[Sequence[str], int]:
        """Why the container cannot come; the ports *spare* will be free when it does."""

        def is_free(address: str, number: int, protocol: str) -> bool:
            return f"{number}/{protocol}" in spare or self._to.here.is_port_free(
                address, number, protocol
            )

        try:
            plans.plan([bill], request, replace(self._to.here, is_port_free=is_free))
        except CannotRestore as error:
            return error.problems, self.facts()["free"]
        return (), self.facts()["free"]

    def enter(self, migration: str) -> None:
        """Begin a migration; Conflict where it has begun."""
        if not _ID.fullmatch(migration):
            raise Invalid(f"invalid migration: {migration[:64]!r}")
        with self._lock, ExitStack() as held:
            if migration in self._sessions or self._guests.get(migration) is not None:
                raise Conflict(f"migration {migration} is known already")
            path = self._staging / f"migration-{migration}"
            held.callback(shutil.rmtree, path, ignore_errors=True)
            session = Session(path, self._to, held)
            held.callback(session.ahead.close)
            open_depot(session.location, None, make=True)
            self._sessions[migration] = session
            session.held = held.pop_all()

    def leave(self, migration: str) -> None:
        """It is over: without a guest that is confirmed nothing stays; idempotent."""
        with self._lock:
            session = self._sessions.pop(migration, None)
        with ExitStack() as held:
            if session is not None:
                held.enter_context(session.lock)
                held.push(session.held)
            guest = self._guests.get(migration)
            if guest is not None and not guest.confirmed:
                self._send_away(migration, guest)

    def add(self, migration: str, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Take a blob, verified."""
        self._session(migration).place.add(descriptor, stream)

    def place(self, migration: str) -> Layout:
        return self._session(migration).place

    def lay(self, migration: str, tag: str, request: RestoreRequest) -> None:
        """Lay out what that backup has, ahead of its restore."""
        session = self._session(migration)
        with session.lock:
            depot = session.depot()
            self._restoration(session, depot, request).prepare(depot.get(tag).bill, session.lease)

    def restore(self, migration: str, tag: str, request: RestoreRequest) -> Container:
        """Make the container; it does not run yet, and is gone again unless it is confirmed."""
        session = self._session(migration)
        with session.lock:
            depot = session.depot()
            bill = depot.get(tag).bill
            self._guests.put(migration, self._guest(bill, request))
            (container,) = self._restoration(session, depot, request).run([bill])
        return container

    def start(self, migration: str) -> None:
        with self._session(migration).lock:
            self._to.control.start(self._container(migration).id)

    def state(self, migration: str) -> dict[str, Any]:
        """How its guest does; without one it is not known here."""
        guest = self._guests.get(migration)
        if guest is None:
            return {"known": migration in self._sessions, "confirmed": False}
        container = self._found(guest)
        state = container.state if container else None
        return {
            "known": True,
            "confirmed": guest.confirmed,
            "status": str(state.status.value) if state else "removed",
            "exit_code": state.exit_code if state else 0,
            "error": state.error if state else "",
            "health": state.health.status if state and state.health else "",
        }

    def confirm(self, migration: str) -> None:
        """The guest stays, durably on return."""
        session = self._session(migration)
        with session.lock:
            container = self._container(migration)
            guest = self._guests.get(migration)
            assert guest is not None and container is not None
            self._guests.put(migration, msgspec.structs.replace(guest, confirmed=True))

    def forget(self, migration: str) -> None:
        """The other side has no more questions."""
        self._guests.delete(migration)

    def _session(self, migration: str) -> Session:
        session = self._sessions.get(migration)
        if session is None:
            raise NoSuchMigration(migration)
        return session

    def _restoration(self, session: Session, depot: Depot, request: RestoreRequest) -> Restoration:
        return Restoration(self._to, depot, request, lambda progress: None, session.ahead)

    def _guest(self, bill: Bill, request: RestoreRequest) -> Guest:
        (planned,) = plans.plan([bill], request, self._to.here)
        return Guest(
            name=planned.container.name,
            created=planned.container.created,
            volumes=list(planned.volumes),
            networks=[str(each["name"]) for each in planned.networks],
            image="" if self._has_image(bill.image.id) else bill.image.id,
        )

    def _has_image(self, image: str) -> bool:
        try:
            self._to.library.image(Digest.parse(image))
        except NotFound:
            return False
        return True

    def _container(self, migration: str) -> Container:
        guest = self._guests.get(migration)
        container = self._found(guest) if guest else None
        if container is None:
            raise NoSuchMigration(migration)
        return container

    def _found(self, guest: Guest) -> Container | None:
        with suppress(LadingError):
            container = self._to.roster.find(guest.name).container
            if (container.name, container.created) == (guest.name, guest.created):
                return container
        return None

    def _send_away(self, migration: str, guest: Guest) -> None:
        _LOG.info("container %s did not come to stay: it is removed", guest.name)
        container = self._found(guest)
        if container is not None:
            self._clearer.remove(container.id, force=True, volumes=True)
            for name in guest.volumes:
                with suppress(LadingError):
                    self._to.volumes.remove(name)
        self._forget_rest(guest, had_container=container is not None)
        self._guests.delete(migration)

    def _forget_rest(self, guest: Guest, *, had_container: bool) -> None:
        for name in guest.networks:
            with suppress(LadingError):
                self._remove_network(name)
        if guest.image and had_container:
            with suppress(LadingError):
                self._to.library.remove(guest.image, force=True)


def network_namespace() -> str:
    """What tells whether two engines share their network: the namespace, on this boot's kernel."""
    found = Path("/proc/self/ns/net").stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{found.st_dev}:{found.st_ino}"


def request_of(asked: Mapping[str, Any]) -> RestoreRequest:
    """The wishes of the other side; Invalid."""
    try:
        wishes = msgspec.convert(dict(asked), _Wishes)
    except msgspec.ValidationError as error:
        raise Invalid(f"invalid wishes: {error}") from None
    return RestoreRequest(
        name=wishes.name,
        start=wishes.start,
        ports=wishes.ports,
        volumes=wishes.volumes,
        networks=wishes.networks,
        allow=frozenset(wishes.allow),
    )


class _Wishes(msgspec.Struct, frozen=True):
    """A restore's request as both sides write it."""

    name: str = ""
    start: bool = False
    ports: dict[str, str] = {}
    volumes: dict[str, str] = {}
    networks: dict[str, str] = {}
    allow: list[str] = []
