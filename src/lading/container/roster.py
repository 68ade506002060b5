"""All containers of this engine: each has a slot, in memory, and a row in the database.

A slot's lock is held while something is done to its container; the roster's own lock guards
names and is never held while a slot's is waited for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lading.container.record import Container
from lading.container.waiting import Waiting
from lading.errors import Conflict, Invalid, NotFound
from lading.store.records import Records

_PREFIX = re.compile(r"[0-9a-f]{1,64}")


class ContainerNotFound(NotFound):
    """Raised for a name, ID or prefix that no container has."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"No such container: {ref[:300]}")


class AmbiguousPrefix(Invalid):
    """Raised for the beginning of several containers' IDs."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"Multiple IDs found with provided prefix: {prefix}")


class NameTaken(Conflict):
    """Raised for a name that another container has, in Docker's words."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )
        self.owner = owner


def _nothing() -> None:
    pass


class Slot:
    """One container's place: its record now, its lock, and who waits for it."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.lock = threading.RLock()
        self.waiting = Waiting()
        self.removed = False
        self.stays = 0  # how many are about to start it again: it does not remove itself then
        self.restart_pause = 0.0  # seconds that the last restart was put off by
        self.cancel_restart: Callable[[], None] = _nothing


class Roster:
    """Find containers, and change what is remembered of them."""

    def __init__(self, records: Records[Container]) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._slots: dict[str, Slot] = {}
        self._names: dict[str, str] = {}  # every name in use or reserved: its container's ID

    def load(self) -> None:
        """Read what the database holds; a bad record is put aside, and a name given twice too."""
        for container in self._records.all().values():
            with self._lock:
                self._slots[container.id] = Slot(container)
                self._names.setdefault(container.name, container.id)

    def slots(self) -> list[Slot]:
        """Every container's, newest first."""
        with self._lock:
            found = list(self._slots.values())
        return sorted(found, key=lambda slot: slot.container.created, reverse=True)

    def find(self, ref: str) -> Slot:
        """By full ID, name (with or without its slash) or unique prefix, in Docker's order."""
        bare = ref.removeprefix("/")
        with self._lock:
            known = self._slots.get(ref) or self._slots.get(self._names.get(bare, ""))
            if known:
                return known
            if not _PREFIX.fullmatch(ref):
                raise ContainerNotFound(ref)
            found = [slot for id_, slot in self._slots.items() if id_.startswith(ref)]
        if len(found) > 1:
            raise AmbiguousPrefix(ref)
        if not found:
            raise ContainerNotFound(ref)
        return found[0]

    @contextmanager
    def locked(self, ref: str) -> Iterator[Slot]:
        """The slot, to oneself; ContainerNotFound also when it is removed meanwhile."""
        slot = self.find(ref)
        with slot.lock:
            if slot.removed:
                raise ContainerNotFound(ref)
            yield slot

    def reserve(self, name: str, container_id: str) -> None:
        """Take *name* for a container that is to be; NameTaken."""
        with self._lock:
            owner = self._names.setdefault(name, container_id)
        if owner != container_id:
            raise NameTaken(name, owner)

    def release(self, name: str, container_id: str) -> None:
        """Give a name back, if it is that container's."""
        with self._lock:
            if self._names.get(name) == container_id:
                del self._names[name]

    def add(self, container: Container) -> Slot:
        """A new container whose name is reserved; durable on return."""
        self._records.put(container.id, container)
        slot = Slot(container)
        with self._lock:
            self._slots[container.id] = slot
        return slot

    def keep(self, slot: Slot, container: Container) -> None:
        """Replace what is remembered; durable on return.  The caller holds the slot's lock."""
        self._records.put(container.id, container)
        slot.container = container

    def forget(self, slot: Slot) -> None:
        """The container is gone, durably; the caller holds the slot's lock."""
        container = slot.container
        self._records.delete(container.id)
        with self._lock:
            self._slots.pop(container.id, None)
            if self._names.get(container.name) == container.id:
                del self._names[container.name]
        slot.removed = True
