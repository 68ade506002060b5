"""Remove containers: the record first, then what it named."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable

from lading.container import sharing
from lading.container.announcing import Announcer
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster, Slot
from lading.container.stowage import Stowage
from lading.runtime.oci import Runtime
from lading.snapshot.protocol import Snapshotter

_LOG = logging.getLogger(__name__)

OnRemoved = Callable[[str], None]


class Remover:
    """Forget containers, and clear away what is left of them."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        roots: Roots,
        stowage: Stowage,
        snapshotter: Snapshotter,
        *,
        runtime: Runtime,
        announcer: Announcer,
        on_removed: OnRemoved,
    ) -> None:
        self._places, self._roster, self._roots = places, roster, roots
        self._stowage, self._snapshotter, self._runtime = stowage, snapshotter, runtime
        self._announcer, self._on_removed = announcer, on_removed

    def forget(self, slot: Slot, last: Container, *, volumes: bool) -> None:
        """The container, which does not run, is gone for good; its files still lie there.

        *last* is what it came to.  With *volumes* its anonymous volumes go too.  The caller
        holds the slot's lock.
        """
        self._roster.forget(slot)
        slot.container = last
        slot.cancel_restart()
        if volumes:
            self._stowage.discard(last.mounts)
        self._on_removed(last.id)
        self._announcer.tell(last, "destroy")
        slot.waiting.removed(last.state.exit_code, last.state.error)

    def clear(self, slot: Slot) -> None:
        """Remove the files of a container that was forgotten; whatever fails is left to `sweep`."""
        self._clear(slot.container.id)

    def sweep(self) -> None:
        """Remove what belongs to no container: of removals and creations that were cut off."""
        known = {slot.container.id for slot in self._roster.slots()}
        left = {path.name for path in self._places.containers.iterdir() if path.name[0] != "."}
        left |= {path.name for path in self._places.bundles.iterdir()}
        left |= set(self._runtime.containers())
        for container_id in left - known:
            _LOG.info("clearing away what is left of container %s", container_id[:12])
            self._roots.drop(container_id)
            self._clear(container_id)

    def _clear(self, container_id: str) -> None:
        try:
            self._runtime.delete(container_id)
            self._runtime.displace(container_id)
            self._roots.forget(container_id)
            sharing.forget_memory(self._places.shm(container_id))
            shutil.rmtree(self._places.bundle(container_id), ignore_errors=True)
            directory = self._places.directory(container_id)
            self._snapshotter.remove(container_id)
            shutil.rmtree(directory, ignore_errors=True)
        except Exception:
            _LOG.exception("container %s cannot be cleared away whole", container_id[:12])
