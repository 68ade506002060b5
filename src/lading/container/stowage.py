"""Bring aboard what is mounted in a container beside its root: volumes, binds, tmpfs.

Volumes are made when the container is, seeded from the image when it starts, and let go
when it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lading.container.claims import Claims
from lading.errors import LadingError, NotFound
from lading.runtime import mounts as runtime
from lading.volume.names import random_name
from lading.volume.points import check_source
from lading.volume.values import MountPoint
from lading.volume.volumes import Volumes

_LOG = logging.getLogger(__name__)
_BEING_MADE = "a container that is being created"


Users = Callable[[str], Sequence[str]]
"""The IDs of the containers that use a volume, by its name."""


class Stowage:
    """The mount points of containers, over the engine's volumes."""

    def __init__(self, volumes: Volumes, users: Users) -> None:
        self._volumes = volumes
        self._users = users
        self._claims = Claims()

    def users(self, name: str) -> list[str]:
        """The containers that use a volume; those that are being made count as one."""
        return [*self._users(name), *([_BEING_MADE] if name in self._claims else [])]

    @contextmanager
    def claimed(self, points: Sequence[MountPoint]) -> Iterator[list[MountPoint]]:
        """Volumes and bind sources that are surely there, anonymous volumes with their names.

        When the context ends in an error, the volumes made here are removed again; until it
        ends they cannot be removed by others.
        """
        # Anonymous ones are named before they are made, so that no prune takes them meanwhile.
        names = [(point.name or random_name()) if _is_volume(point) else "" for point in points]
        with ExitStack() as undo, self._claims.claim(filter(None, names)):
            yield [self._claimed(*pair, undo) for pair in zip(points, names, strict=True)]
            undo.pop_all()

    def load(
        self, points: Sequence[MountPoint], rootfs: Path, undo: ExitStack, *, fill: bool
    ) -> list[runtime.MountPoint]:
        """Make every point ready to be mounted over *rootfs*, which is mounted.

        With *fill* an empty volume gets what the root has at its place.
        """
        return [self._loaded(point, rootfs, undo, fill=fill) for point in points]

    def unload(self, points: Sequence[MountPoint]) -> None:
        """The container uses its volumes no more."""
        for point in points:
            if _is_volume(point) and point.name:
                self._release(point.name)

    def discard(self, points: Sequence[MountPoint]) -> None:
        """Remove the anonymous volumes among *points* that no container uses any more."""
        for point in points:
            if _is_volume(point) and point.name:
                self._discard(point.name)

    def source(self, point: MountPoint) -> Path | None:
        """Where a volume's or a bind's content lies on this host; None for others."""
        if point.kind == "bind":
            return Path(point.source)
        if _is_volume(point) and point.name:
            return self._volumes.source(self._volumes.get(point.name), point.subpath)
        return None

    def _claimed(self, point: MountPoint, name: str, undo: ExitStack) -> MountPoint:
        if point.kind == "bind":
            check_source(point)
        if not _is_volume(point):
            return point
        existed = self._exists(name)
        volume = self._volumes.create(
            name,
            labels=dict(point.labels),
            driver=point.driver or "local",
            options=dict(point.driver_options),
            anonymous=not point.name,
        )
        if not existed:
            undo.callback(self._remove, volume.name)
        return replace(point, name=volume.name, source=str(volume.path))

    def _loaded(
        self, point: MountPoint, rootfs: Path, undo: ExitStack, *, fill: bool
    ) -> runtime.MountPoint:
        if point.kind == "tmpfs":
            return runtime.MountPoint.tmpfs(point.destination, point.tmpfs_options)
        if point.kind == "bind":
            check_source(point)
            return _bind(point, point.source)
        assert point.name
        volume = self._volumes.get(point.name)
        self._volumes.mount(volume)
        undo.callback(self._release, volume.name)
        if fill and not point.no_copy and not point.subpath:
            self._volumes.seed(volume, rootfs, point.destination)
        return _bind(point, str(self._volumes.source(volume, point.subpath)))

    def _exists(self, name: str) -> bool:
        try:
            self._volumes.get(name)
        except NotFound:
            return False
        return True

    def _release(self, name: str) -> None:
        with suppress(NotFound):
            self._volumes.release(self._volumes.get(name))

    def _remove(self, name: str) -> None:
        try:
            self._volumes.remove(name, force=True, users=lambda _: ())
        except LadingError as error:
            _LOG.warning("volume %s, made for a container that failed, stays: %s", name, error)

    def _discard(self, name: str) -> None:
        try:
            if self._volumes.get(name).anonymous:
                self._volumes.remove(name, users=self.users)
        except LadingError as error:
            _LOG.debug("volume %s stays: %s", name, error)


def _is_volume(point: MountPoint) -> bool:
    return point.kind == "volume"


def _bind(point: MountPoint, source: str) -> runtime.MountPoint:
    return runtime.MountPoint.bind(
        source,
        point.destination,
        read_only=point.read_only,
        propagation=point.propagation or "rprivate",
        recursive=point.recursive,
    )
