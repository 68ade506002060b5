"""Back up containers: look while they run, look again while they stand still, then name it.

Packs go to the target before trees, trees before bills, bills before manifests, and the names
last of all: so what is cut off leaves nothing that anybody sees.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from lading.backup import sources
from lading.backup.bill import IMAGE, LAYER, Bill, Part
from lading.backup.capture import Before, Captured, PartCapture
from lading.backup.cargo import Circumstances, Stowed, billed, conclude, stow
from lading.backup.depot import Depot, Stored, packs_of
from lading.backup.imagery import ImageAboard, KeptLayers, SealedLayers, aboard, bring
from lading.backup.locations import tag_of
from lading.backup.looking import Found, changed, excluding
from lading.backup.origin import Origin
from lading.backup.packing import Packing
from lading.backup.sources import BackupRequest, PartSource
from lading.container import stubs
from lading.container.freezing import Pause
from lading.container.record import Container
from lading.container.roster import Roster
from lading.errors import Conflict, Corrupt, NotFound
from lading.image.progress import Listener, Progress
from lading.store.leases import Lease

_PRE, _POST = "lading.backup.pre", "lading.backup.post"  # labels
_SEALED = "backup"  # what backups are called where names are not to be read
_PATIENCE = 64 * 1024 * 1024  # bytes that may wait for the processor while containers stand still

Key = tuple[str, str]


class Cargo(Protocol):
    """What is captured: `look` once, again while nothing moves, and `finish`."""

    def look(self) -> None: ...

    def finish(self) -> Captured: ...


class CannotStop(Conflict):
    """Raised where a container would not come back from a stop."""

    def __init__(self, container: Container) -> None:
        super().__init__(
            f"container {container.name} is removed when it stops (--rm): "
            "use --consistency pause or live"
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: how it is called, and its bill."""

    ref: str
    bill: Bill


class Creation:
    """One run of ``backup create``."""

    def __init__(
        self, origin: Origin, depot: Depot, request: BackupRequest, on_progress: Listener
    ) -> None:
        self._origin, self._depot, self._request = origin, depot, request
        self._on_progress = on_progress
        self._before: Sequence[Stored] = ()
        self._warnings: list[str] = []

    def run(self, warnings: Sequence[str] = ()) -> list[Made]:
        """The new backups, durable and named on return; on any error there are none.

        ContainerNotFound, Invalid, Conflict, FreezeFailed, and whatever the target raises.
        """
        sources.check(self._request)
        self._warnings += warnings
        with self._depot.place.held(), self._origin.library.lease() as lease:
            self._before = self._depot.stored()
            return self._made(self._containers(), lease)

    def _containers(self) -> list[Container]:
        roster = self._origin.roster
        named = [roster.find(name).container for name in self._request.names]
        others = sources.chosen(self._request, [slot.container for slot in roster.slots()])
        found = list({each.id: each for each in (*named, *others)}.values())
        if not found:
            raise NotFound("no container fits: nothing to back up")
        if self._request.consistency == "stop":
            for each in found:
                if each.running and each.host.auto_remove:
                    raise CannotStop(each)
        return found

    def _made(self, containers: list[Container], lease: Lease) -> list[Made]:
        images = {c.id: aboard(c, self._origin.library, lease) for c in containers}
        known = partial(self._depot.chunks, list(self._before))
        with Packing(self._depot.place, self._depot.keys, known) as packing, ExitStack() as held:
            added = self._bring(images.values())
            mounted = {c.id: self._mounted(c) for c in containers}
            cargo = self._cargo(containers, images, mounted, packing, held)
            still = self._captured(containers, cargo, packing)
            self._tell("Writing", packing)
            packing.finish()
            circumstances = Circumstances(
                group=secrets.token_hex(16),
                created=still.instant,
                consistency=self._request.consistency,
                added=added + packing.added,
            )
            stowed = self._stowed(cargo, mounted)
        bills = [
            self._bill(c, images[c.id], stowed, mounted[c.id], circumstances, still)
            for c in still.containers
        ]
        return self._named(bills)

    def _bring(self, images: Any) -> int:
        if self._depot.is_sealed:
            return 0
        unique: dict[object, ImageAboard] = {image.manifest.digest: image for image in images}
        return sum(bring(each, self._origin.library, self._depot) for each in unique.values())

    def _mounted(self, container: Container) -> list[PartSource]:
        return sources.mounted(container, self._request, self._origin.volumes.get)

    def _cargo(
        self,
        containers: Sequence[Container],
        images: Mapping[str, ImageAboard],
        mounted: Mapping[str, Sequence[PartSource]],
        packing: Packing,
        held: ExitStack,
    ) -> dict[Key, Cargo]:
        found: dict[Key, Cargo] = {}
        for each in containers:
            found[LAYER, each.id] = self._layer(each, packing, held)
            for source in mounted[each.id]:
                if source.key not in found:
                    before = self._part_before(*source.key)
                    found[source.key] = PartCapture(source.path, source.listing, packing, before)
            image = images[each.id]
            if self._depot.is_sealed:
                found[IMAGE, image.cargo.id] = self._sealed(image, packing)
        return found

    def _layer(self, container: Container, packing: Packing, held: ExitStack) -> PartCapture:
        origin = self._origin
        rootfs = held.enter_context(origin.roots.mounted(container.id))
        is_excluded = excluding(self._request.exclude)

        def listing(top: int) -> Iterator[Found]:
            every = origin.snapshotter.changes(container.id)
            changes = stubs.without(every, rootfs, origin.places.directory(container.id))
            return changed(top, changes, is_excluded)

        top = origin.snapshotter.writable(container.id)
        return PartCapture(top, listing, packing, self._part_before(LAYER, container.id))

    def _sealed(self, image: ImageAboard, packing: Packing) -> Cargo:
        for backup in reversed(self._before):
            if backup.bill.image.id == image.cargo.id and self._is_whole(backup, IMAGE):
                return KeptLayers(self._depot, backup)
        return SealedLayers(image, self._origin.library, packing)

    def _is_whole(self, backup: Stored, kind: str) -> bool:
        part = backup.bill.part(kind)
        blobs = [part.tree.descriptor] if part else []
        blobs += packs_of(backup.bill).values()
        return part is not None and all(self._depot.place.has(blob) for blob in blobs)

    def _part_before(self, kind: str, name: str) -> Before | None:
        """The part as the latest backup that has it knows it; None where it must be read whole."""
        found = self._latest(kind, name)
        if found is None:
            return None
        backup, part = found
        packs = packs_of(backup.bill)
        try:
            tree = self._depot.tree(part)
        except Corrupt:
            return None
        if not all(self._depot.place.has(packs[digest]) for digest in tree.packs):
            return None
        return Before.of(tree, packs)

    def _latest(self, kind: str, name: str) -> tuple[Stored, Part] | None:
        for backup in reversed(self._before):
            if kind == LAYER and backup.bill.container.id != name:
                continue
            part = backup.bill.part(kind, "" if kind in (LAYER, IMAGE) else name)
            if part is not None and (kind != IMAGE or backup.bill.image.id == name):
                return backup, part
        return None

    def _captured(
        self, containers: Sequence[Container], cargo: Mapping[Key, Cargo], packing: Packing
    ) -> _Still:
        for number, part in enumerate(cargo.values()):
            self._tell(f"Reading {number + 1}/{len(cargo)}", packing)
            part.look()
        ran = [each for each in containers if each.running and self._request.hooks]
        with ExitStack() as after:
            for each in ran:
                self._hook(each, _PRE, self._request.pre)
                after.callback(self._hook, each, _POST, self._request.post)
            packing.patience = _PATIENCE
            still = _Still()
            with self._still(containers, still):
                for part in cargo.values():
                    part.look()
        return still

    @contextmanager
    def _still(self, containers: Sequence[Container], still: _Still) -> Iterator[None]:
        """All of them stand still while the context lasts, as the request wants it."""
        mode, origin = self._request.consistency, self._origin
        with ExitStack() as held:
            if mode == "stop":
                held.callback(still.measure, time.monotonic_ns())
                for each in [c for c in containers if c.running]:
                    origin.control.stop(each.id)
                    held.callback(origin.control.start, each.id)
            slots = []
            for each in sorted(containers, key=lambda c: c.id) if mode != "live" else ():
                slots.append(held.enter_context(origin.roster.locked(each.id)))
            if mode == "pause":
                for slot in slots:
                    still.pauses[slot.container.id] = held.enter_context(
                        origin.freezer.frozen(slot)
                    )
            still.instant = time.time_ns()
            still.containers = [_as_it_ran(origin.roster, each) for each in containers]
            yield

    def _hook(self, container: Container, label: str, command: str) -> None:
        command = command or (container.config.labels or {}).get(label, "")
        if command:
            self._origin.run_hook(container.id, command)

    def _stowed(
        self, cargo: Mapping[Key, Cargo], mounted: Mapping[str, Sequence[PartSource]]
    ) -> dict[Key, Stowed]:
        about = {source.key: source for each in mounted.values() for source in each}
        found = {}
        for key, part in cargo.items():
            kind, name = key
            latest = self._latest(kind, name)
            source = about.get(key)
            found[key] = stow(
                self._depot,
                part.finish(),
                latest[1] if latest else None,
                kind=kind,
                name=name if source else "",
                labels=source.labels if source else {},
                anonymous=source.anonymous if source else False,
            )
        return found

    def _bill(
        self,
        container: Container,
        image: ImageAboard,
        stowed: Mapping[Key, Stowed],
        mounted: Sequence[PartSource],
        circumstances: Circumstances,
        still: _Still,
    ) -> Bill:
        keys: list[Key] = [(LAYER, container.id), *(source.key for source in mounted)]
        if self._depot.is_sealed:
            keys.append((IMAGE, image.cargo.id))
        return billed(
            container,
            image.cargo,
            [stowed[key] for key in keys],
            circumstances,
            ref="",
            paused_ms=still.paused_ms(container.id),
            networks=self._networks(container),
            not_included=sources.left_out(container, self._request),
            warnings=[*self._warnings, *self._sharers(mounted, still)],
        )

    def _networks(self, container: Container) -> list[dict[str, Any]]:
        found, gone = sources.networks(container, self._origin.find_network)
        self._warnings += [f"network {name} is gone" for name in gone]
        return found

    def _sharers(self, mounted: Sequence[PartSource], still: _Still) -> list[str]:
        """Containers that write to the same volumes, and did not stand still."""
        held = {each.id for each in still.containers}
        names = {source.name for source in mounted if source.kind == "volume"}
        told = []
        for slot in self._origin.roster.slots():
            other = slot.container
            if other.running and other.id not in held:
                shared = sorted(names & {point.name for point in other.mounts if point.name})
                told += [f"volume {n} is used by {other.name}, which went on" for n in shared]
        return told

    def _named(self, bills: Sequence[Bill]) -> list[Made]:
        """Conclude the backups, and name them all at once."""
        taken = set(self._depot.place.names())
        made: dict[str, tuple[Bill, Any]] = {}
        for bill in bills:
            word = _SEALED if self._depot.is_sealed else bill.container.name
            tag = _free(tag_of(word, _stamp(bill.created)), taken | set(made))
            bill = msgspec.structs.replace(bill, ref=tag)
            made[tag] = (bill, conclude(self._depot, bill))
        named = {tag: descriptor for tag, (_, descriptor) in made.items()}
        self._depot.name(named)
        for tag, (bill, _) in made.items():
            ref = self._depot.location.ref(tag)
            attributes = {"name": bill.container.name, "ref": ref}
            self._origin.bus.publish("container", "backup", bill.container.id, attributes)
        return [Made(self._depot.location.ref(tag), bill) for tag, (bill, _) in made.items()]

    def _tell(self, what: str, packing: Packing) -> None:
        self._on_progress(Progress("backup", what, packing.read, 0))


class _Still:
    """The moment in which the containers stood still."""

    def __init__(self) -> None:
        self.instant = 0
        self.containers: list[Container] = []
        self.pauses: dict[str, Pause] = {}
        self._stopped_ms = 0

    def measure(self, began: int) -> None:
        self._stopped_ms = (time.monotonic_ns() - began) // 1_000_000

    def paused_ms(self, container_id: str) -> int:
        pause = self.pauses.get(container_id)
        return pause.milliseconds if pause else self._stopped_ms


def _as_it_ran(roster: Roster, container: Container) -> Container:
    """The container as it is remembered now, with the state that it had before the pause."""
    now = roster.find(container.id).container
    return msgspec.structs.replace(now, state=container.state)


def _stamp(created: int) -> str:
    seconds, rest = divmod(created, 1_000_000_000)
    text = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{text}.{rest // 1_000_000:03}Z"


def _free(tag: str, taken: set[str]) -> str:
    number, free = 2, tag
    while free in taken:
        free, number = f"{tag}-{number}", number + 1
    return free
