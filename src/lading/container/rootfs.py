"""The containers' root file systems, mounted for as long as somebody needs them.

A root is mounted once however many need it: the running container, a copy, an export.  It
is mounted at ROOT/containers/ID/rootfs, in the engine's own mount namespace, so that an
engine that comes later sees it too.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lading.linux import mounts
from lading.snapshot.protocol import Snapshotter

_LOG = logging.getLogger(__name__)


class Roots:
    """Mounted root file systems, by container ID."""

    def __init__(self, containers: Path, snapshotter: Snapshotter) -> None:
        self._containers = containers
        self._snapshotter = snapshotter
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._holders: Counter[str] = Counter()

    def path(self, container_id: str) -> Path:
        """Where the root is mounted, or would be."""
        return self._containers / container_id / "rootfs"

    def hold(self, container_id: str) -> Path:
        """Mount the root unless it is mounted; call `release` as often as this."""
        target = self.path(container_id)
        with self._own(container_id):
            if not self._holders[container_id]:
                target.mkdir(mode=0o755, parents=True, exist_ok=True)
                mounts.perform(self._snapshotter.mounts(container_id), target)
            self._holders[container_id] += 1
        return target

    def release(self, container_id: str) -> None:
        """Unmount the root when nobody else holds it."""
        with self._own(container_id):
            self._holders[container_id] -= 1
            if self._holders[container_id] <= 0:
                del self._holders[container_id]
                self._unmount(container_id)

    def adopt(self, container_id: str) -> None:
        """Count a root that an engine before this one mounted for a container that runs."""
        with self._own(container_id):
            self._holders[container_id] += 1

    def drop(self, container_id: str) -> None:
        """Unmount whatever an engine before this one left; idempotent."""
        with self._own(container_id):
            if not self._holders[container_id]:
                del self._holders[container_id]
                mounts.unmount_below(self.path(container_id))

    @contextmanager
    def mounted(self, container_id: str) -> Iterator[Path]:
        """The root, mounted while the context lasts."""
        path = self.hold(container_id)
        try:
            yield path
        finally:
            self.release(container_id)

    def _unmount(self, container_id: str) -> None:
        # Lazily: a process that has a file open in it must not keep the container.
        mounts.unmount(self.path(container_id), lazy=True)

    @contextmanager
    def _own(self, container_id: str) -> Iterator[None]:
        """One at a time for each container."""
        with self._lock:
            lock = self._locks.setdefault(container_id, threading.Lock())
        with lock:
            yield

    def forget(self, container_id: str) -> None:
        """The container is gone: whoever still reads its root reads what is open, no more."""
        with self._own(container_id):
            if self._holders.pop(container_id, 0):
                self._unmount(container_id)
        with self._lock:
            self._locks.pop(container_id, None)
