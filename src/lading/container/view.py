"""A container's files as the container sees them: its root with volumes and binds over it.

The view has a mount table of its own: nothing in the container can change what is mounted
where, and nothing is left of it.  Paths are resolved by the kernel inside the root, whatever
the container does to them meanwhile (HOSTILE 45 to 48).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.stowage import Stowage
from lading.errors import NotFound
from lading.linux import mounts
from lading.linux.namespaces import apart
from lading.linux.paths import open_in_root
from lading.runtime import roots
from lading.volume.values import MountPoint

T = TypeVar("T")


class Views:
    """Look into containers, running or not."""

    def __init__(self, root_file_systems: Roots, stowage: Stowage) -> None:
        self._roots, self._stowage = root_file_systems, stowage

    def look(self, container: Container, function: Callable[[int], T]) -> T:
        """What *function* returns, given a descriptor of the container's root directory."""
        with self._roots.mounted(container.id) as rootfs:
            return apart(lambda: self._with_mounts(container, rootfs, function))

    def _with_mounts(self, container: Container, rootfs: Path, function: Callable[[int], T]) -> T:
        # Opened in this mount table, so that what is mounted next is seen through it.
        root_fd = roots.open_root(rootfs)
        try:
            for point in container.mounts:
                self._show(point, root_fd)
            return function(root_fd)
        finally:
            os.close(root_fd)

    def _show(self, point: MountPoint, root_fd: int) -> None:
        source = self._source(point)
        if source is None:
            return
        target = roots.ensure(root_fd, point.destination, directory=source.is_dir())
        try:
            mounts.bind(source, _by(target), recursive=point.recursive)
        finally:
            os.close(target)
        if point.read_only:
            # The descriptor is of what is covered now: the mount is found by its path alone.
            mounted = open_in_root(root_fd, os.fsencode(point.destination), os.O_PATH)
            try:
                mounts.make_read_only(_by(mounted))
            finally:
                os.close(mounted)

    def _source(self, point: MountPoint) -> Path | None:
        """What is mounted there; nothing where it is gone: its place is then as it is."""
        try:
            source = self._stowage.source(point)
        except NotFound:
            return None
        return source if source is not None and source.exists() else None


def _by(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}")
