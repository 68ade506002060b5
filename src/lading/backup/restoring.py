"""Make containers again from their backups: all of them, or nothing.

Layers, volumes and writable layers are made out of sight and synced; then one transaction
names all of it.  Whatever is cut off before that is swept at the next start.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from lading.backup import plan as plans
from lading.backup.ahead import Ahead
from lading.backup.bill import BIND, IMAGE, LAYER, Bill, Part
from lading.backup.contents import Contents
from lading.backup.depot import Depot
from lading.backup.imagery import StoredLayers
from lading.backup.laying import lay
from lading.backup.plan import Here, Planned, RestoreRequest
from lading.backup.tree import Tree
from lading.container.announcing import Announcer
from lading.container.control import Control
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.errors import Conflict, Invalid
from lading.image.library import Library
from lading.image.progress import Listener, Progress
from lading.image.target import LibraryTarget
from lading.linux.files import fsync_directory, sync_tree
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.trash import delete, staging
from lading.store.leases import Lease
from lading.volume.values import MountPoint
from lading.volume.volumes import Arrival, Volumes

MakeNetwork = Callable[[Mapping[str, Any]], Callable[[], None]]
"""Make a network that a bill describes; what removes it again."""


class NoSpace(Conflict):
    """Raised where the files would not fit."""

    def __init__(self, wanted: int, free: int) -> None:
        super().__init__(f"not enough space: {wanted} bytes are wanted, {free} are free")


class BindTaken(Conflict):
    """Raised where a directory of the host is to be restored over another."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} exists and is not empty: move it away to have it restored")


@dataclass(frozen=True, slots=True)
class Destination:
    """The parts of an engine that containers are restored to."""

    roster: Roster
    roots: Roots
    places: Places
    snapshotter: Snapshotter
    library: Library
    volumes: Volumes
    control: Control
    announcer: Announcer
    here: Here
    make_network: MakeNetwork


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A backup with its trees, read and verified before anything is made."""

    planned: Planned
    trees: Mapping[str, Tree]  # by the digest of the part's tree

    def tree(self, part: Part) -> Tree:
        return self.trees[part.tree.digest]


class Restoration:
    """One run of ``restore``."""

    def __init__(
        self,
        destination: Destination,
        depot: Depot,
        request: RestoreRequest,
        on_progress: Listener,
        ahead: Ahead | None = None,
    ) -> None:
        """*ahead* has what was laid out before; it stays the caller's when `run` fails."""
        self._to, self._depot, self._request = destination, depot, request
        self._on_progress, self._ahead = on_progress, ahead
        self._volumes: dict[str, Arrival] = {}

    def run(self, bills: Sequence[Bill]) -> list[Container]:
        """The containers, durable on return.

        CannotRestore before anything is changed; Corrupt, NoSpace and others leave nothing.
        """
        planned = plans.plan(bills, self._request, self._to.here)
        with self._to.library.lease() as lease, ExitStack() as undo:
            loaded = [self._load(each) for each in planned]
            if self._ahead is None:
                self._check_space(loaded)
            targets = [self._image(each.bill, lease) for each in planned]
            for each in loaded:
                self._lay_volumes(each, undo)
            containers = [self._lay_layer(each, undo) for each in loaded]
            for each in loaded:
                self._lay_binds(each, undo)
            for network in {str(n["name"]): n for p in planned for n in p.networks}.values():
                undo.callback(self._to.make_network(network))
            self._settle(containers, targets, undo)
            undo.pop_all()
            if self._ahead is not None:
                self._ahead.release()
        self._announce(containers, planned)
        return containers

    def prepare(self, bill: Bill, lease: Lease) -> None:
        """Bring the image, and lay the volumes out ahead, so that less is left for `run`."""
        (planned,) = plans.plan([bill], self._request, self._to.here)
        loaded = self._load(planned)
        if self._ahead is not None and self._ahead.is_empty:
            self._check_space([loaded])
        self._image(bill, lease)
        with ExitStack() as undo:
            self._lay_volumes(loaded, undo)
            undo.pop_all()

    def start(self, containers: Sequence[Container]) -> None:
        """Start them; those whose network others share first."""
        for each in sorted(containers, key=lambda c: c.host.network_mode.startswith("container:")):
            self._to.control.start(each.id)

    def _load(self, planned: Planned) -> _Loaded:
        parts = [part for part in planned.bill.parts if part.kind != IMAGE]
        if planned.bill.part(LAYER) is None:
            raise Invalid(f"the backup of {planned.container.name} has no writable layer")
        return _Loaded(planned, {part.tree.digest: self._depot.tree(part) for part in parts})

    def _check_space(self, loaded: Sequence[_Loaded]) -> None:
        trees = {digest: tree for each in loaded for digest, tree in each.trees.items()}
        wanted = sum(entry.stored for tree in trees.values() for entry in tree.entries)
        found = os.statvfs(self._to.places.containers)
        free = found.f_bavail * found.f_frsize
        if wanted > free:
            raise NoSpace(wanted, free)

    def _image(self, bill: Bill, lease: Lease) -> tuple[LibraryTarget, Manifest]:
        """Bring all but the manifest, which makes it an image, into the library."""
        manifest = Manifest.parse(bill.image.manifest)
        target = LibraryTarget(self._to.library, lease, self._names(bill, manifest))
        if not target.has(manifest.config):
            target.add(manifest.config, io.BytesIO(bill.image.config))
        with StoredLayers(self._depot, bill) as source:
            for number, layer in enumerate(manifest.layers):
                self._tell(f"layer {number + 1}/{len(manifest.layers)}", 0)
                if not target.has(layer):
                    with source.open(layer) as stream:
                        target.add(layer, stream)
        return target, manifest

    def _names(self, bill: Bill, manifest: Manifest) -> list[Reference]:
        """The image's names that are free here, or all of them where that is forced."""
        catalogue, found = self._to.library.catalogue, []
        for text in bill.image.names:
            try:
                name = Reference.parse(text)
            except Invalid:
                continue
            holder = catalogue.holder(name)
            free = holder in (None, manifest.config.digest) or self._request.force
            if name.digest is None and free:
                found.append(name)
        return found

    def _lay_volumes(self, loaded: _Loaded, undo: ExitStack) -> None:
        for name, part in loaded.planned.volumes.items():
            if name in self._volumes:
                continue
            ahead = self._ahead
            if ahead is None:
                ahead = Ahead(self._to.volumes)
                undo.callback(ahead.close)
            with Contents.on(self._depot, loaded.planned.bill) as contents:
                self._tell(f"volume {name[:40]}", part.size)
                arrival = ahead.lay(name, part, loaded.tree(part), contents)
            self._volumes[name] = arrival
            sync_tree(arrival.part)

    def _lay_layer(self, loaded: _Loaded, undo: ExitStack) -> Container:
        to = self._to
        container = msgspec.structs.replace(
            loaded.planned.container,
            driver=to.snapshotter.name,
            mounts=[self._placed(point) for point in loaded.planned.container.mounts],
        )
        part = loaded.planned.bill.part(LAYER)
        assert part is not None
        undo.callback(self._drop, container.id)
        to.snapshotter.prepare(container.id, [Digest.parse(each) for each in container.layers])
        with (
            to.roots.mounted(container.id) as rootfs,
            Contents.on(self._depot, loaded.planned.bill) as contents,
        ):
            self._tell(f"container {container.name[:40]}", part.size)
            lay(loaded.tree(part), contents, rootfs)
            sync_tree(to.snapshotter.writable(container.id))
        return container

    def _placed(self, point: MountPoint) -> MountPoint:
        if point.kind != "volume" or point.name is None:
            return point
        return replace(point, source=str(self._to.volumes.place(point.name)))

    def _drop(self, container_id: str) -> None:
        self._to.roots.forget(container_id)
        self._to.snapshotter.remove(container_id)
        shutil.rmtree(self._to.places.directory(container_id), ignore_errors=True)

    def _lay_binds(self, loaded: _Loaded, undo: ExitStack) -> None:
        """Directories of the host: made where they were, which was allowed by name."""
        for part in loaded.planned.bill.parts:
            if part.kind == BIND:
                self._lay_bind(loaded, part, undo)

    def _lay_bind(self, loaded: _Loaded, part: Part, undo: ExitStack) -> None:
        points = loaded.planned.bill.container.mounts
        if not any(point.kind == "bind" and point.source == part.name for point in points):
            raise Invalid(f"the backup brings {part.name[:200]!r}, which it does not mount")
        path = Path(part.name)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BindTaken(part.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = staging(path.parent)
        aside.mkdir(mode=0o700)
        undo.callback(delete, aside)
        with Contents.on(self._depot, loaded.planned.bill) as contents:
            lay(loaded.tree(part), contents, aside)
        sync_tree(aside)
        if path.exists():
            path.rmdir()
        aside.rename(path)
        undo.callback(delete, path)
        fsync_directory(path.parent)

    def _settle(
        self,
        containers: Sequence[Container],
        targets: Sequence[tuple[LibraryTarget, Manifest]],
        undo: ExitStack,
    ) -> None:
        """Name everything at once."""
        roster = self._to.roster
        for each in containers:
            roster.reserve(each.name, each.id)
            undo.callback(roster.release, each.name, each.id)

        arrivals = list(self._volumes.values())
        with self._to.volumes.bringing(arrivals) as record, self._to.library.together():
            record()
            for target, manifest in targets:
                target.add(manifest.descriptor, io.BytesIO(manifest.raw))
            for each in containers:
                undo.callback(roster.forget, roster.add(each))

    def _announce(self, containers: Sequence[Container], planned: Sequence[Planned]) -> None:
        for container, each in zip(containers, planned, strict=True):
            ref = self._depot.location.ref(each.bill.ref)
            self._to.announcer.tell(container, "create")
            self._to.announcer.tell(container, "restore", ref=ref)

    def _tell(self, what: str, size: int) -> None:
        self._on_progress(Progress("restore", f"Restoring {what}", 0, size))
