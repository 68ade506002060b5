"""A container's files, seen from outside: copy in and out, export, what changed, how much.

Copies see the container as it sees itself, with its volumes and binds; export, changes and
sizes are about its own root alone.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lading.container import archive, stubs
from lading.container.archive import OnStat, PathStat
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.container.view import Views
from lading.errors import LadingError
from lading.layer import pack
from lading.layer.change import Change, Kind
from lading.layer.pack import Output
from lading.linux.paths import open_beneath
from lading.oci.digest import Digest
from lading.snapshot.protocol import Snapshotter

__all__ = ["Files", "PathStat", "Sizes"]

_LOG = logging.getLogger(__name__)
_LOOK = os.O_PATH | os.O_NOFOLLOW
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: what the container wrote (*rw*), and that with its image (*rootfs*)."""

    rw: int
    rootfs: int


class Files:
    """Look into containers, whether they run or not; raises ContainerNotFound throughout."""

    def __init__(
        self,
        roster: Roster,
        views: Views,
        roots: Roots,
        snapshotter: Snapshotter,
        places: Places,
        *,
        layer_size: Callable[[Digest], int],
    ) -> None:
        """*layer_size* tells the bytes of a layer by its diff ID."""
        self._roster, self._views, self._roots = roster, views, roots
        self._snapshotter, self._places = snapshotter, places
        self._layer_size = layer_size
        self._layer_sizes: dict[str, int] = {}  # those that are known do not change

    def stat(self, ref: str, path: str) -> PathStat:
        """What is at *path* in the container; PathNotFound."""
        container = self._find(ref)
        return self._views.look(container, lambda root: archive.look_up(container, root, path))

    def get(self, ref: str, path: str, out: Output, *, on_stat: OnStat) -> None:
        """Write what is at *path* as a tar, after *on_stat* was told of it; PathNotFound."""
        container = self._find(ref)
        self._views.look(container, lambda root: archive.read(container, root, path, out, on_stat))

    def put(
        self,
        ref: str,
        path: str,
        stream: BinaryIO,
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """Unpack a tar, compressed or not, into the directory at *path*.

        PathNotFound, NotADirectory, ReadOnlyRoot, ReadOnlyVolume, InvalidTar.
        """
        container = self._find(ref)

        def write(root: int) -> None:
            archive.write(
                container,
                root,
                path,
                stream,
                keep_types=no_overwrite_dir_non_dir,
                as_user=copy_uid_gid,
            )

        self._views.look(container, write)

    def export(self, ref: str, out: Output) -> None:
        """Write the container's whole root as a tar, without what is mounted in it."""
        with self._roots.mounted(self._find(ref).id) as rootfs:
            pack.tree(rootfs, out, top=False, mounts=False)

    def changes(self, ref: str) -> list[Change]:
        """What the container changed over its image, by path, parents first."""
        container = self._find(ref)
        with self._roots.mounted(container.id) as rootfs:
            changes = self._snapshotter.changes(container.id)
            return stubs.without(changes, rootfs, self._places.directory(container.id))

    def sizes(self, ref: str) -> Sizes:
        """How much the container holds; a damaged one, nothing of its own: lists must not fail."""
        container = self._find(ref)
        try:
            changes = self._snapshotter.changes(container.id)
            own = _size(self._snapshotter.writable(container.id), changes)
        except (LadingError, OSError) as error:
            _LOG.warning("container %s cannot be measured: %s", container.short_id, error)
            own = 0
        return Sizes(own, own + sum(map(self._size_of_layer, container.layers)))

    def _find(self, ref: str) -> Container:
        return self._roster.find(ref).container

    def _size_of_layer(self, diff_id: str) -> int:
        if not self._layer_sizes.get(diff_id):
            self._layer_sizes[diff_id] = self._layer_size(Digest(diff_id))
        return self._layer_sizes[diff_id]


def _size(writable: Path, changes: Iterable[Change]) -> int:
    """Bytes in the files that were made or changed, hard links counted once."""
    top = os.open(writable, _DIRECTORY)
    try:
        paths = (change.path for change in changes if change.kind is not Kind.DELETED)
        return sum(dict(_file(top, path) for path in paths).values())
    finally:
        os.close(top)


def _file(top: int, path: bytes) -> tuple[tuple[int, int], int]:
    """The file's identity, and its bytes; none for what has gone and for directories."""
    try:
        fd = open_beneath(top, path or b".", _LOOK, symlinks=False)
    except OSError:
        return (0, 0), 0
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return (found.st_dev, found.st_ino), size
