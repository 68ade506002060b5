"""Make an image of a container: its image with one more layer, which holds what it changed.

The container stands still only while its files are read into a file aside; hashing and storing
come after.  Of one that does not run, they go on beside the reading.  What the image will
not hold is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import msgspec

from lading.container import merge, omissions, stubs
from lading.container.announcing import Announcer
from lading.container.foundation import Foundation, foundation
from lading.container.freezing import Freezer, Pause
from lading.container.omissions import NotIncluded, VolumeSize, WouldNotHold
from lading.container.options import Config, decode
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.container.spooling import spooled
from lading.container.states import State
from lading.errors import Conflict
from lading.image import catalogue, edit
from lading.image.edit import Step
from lading.image.image import Image
from lading.image.library import Library
from lading.image.streams import Written
from lading.layer import pack
from lading.layer.pack import Output
from lading.layer.write import END
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.snapshot.protocol import Snapshotter
from lading.store.leases import Lease

__all__ = ["CommitRequest", "Committed", "Committer", "NotIncluded"]

_NOTHING = Digest.of(END)  # the diff ID of a layer without members


class BeingRemoved(Conflict):
    """Raised for a container that is on its way out, in Docker's words."""

    def __init__(self, container: Container) -> None:
        super().__init__(f"You cannot commit container {container.id} which is being removed")


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """How to make the image.

    *changes* are Dockerfile instructions; *config* stands in for the container's own, which
    still fills what it leaves open.  *strict* refuses where the image would lack something.
    """

    reference: Reference | None = None
    comment: str = ""
    author: str = ""
    changes: tuple[str, ...] = ()
    pause: bool = True
    strict: bool = False
    config: Config | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """The new image, how long the container stood still for it, and what it lacks."""

    image_id: Digest
    paused_ms: int
    not_included: tuple[NotIncluded, ...]


class Committer:
    """Make images of containers."""

    def __init__(
        self,
        roster: Roster,
        roots: Roots,
        snapshotter: Snapshotter,
        library: Library,
        freezer: Freezer,
        places: Places,
        announcer: Announcer,
        *,
        volume_size: VolumeSize,
    ) -> None:
        self._roster, self._roots, self._snapshotter = roster, roots, snapshotter
        self._library, self._freezer, self._places = library, freezer, places
        self._announcer, self._volume_size = announcer, volume_size

    def commit(self, ref: str, request: CommitRequest) -> Committed:
        """The image, durable on return; on any error there is none, and the container goes on.

        ContainerNotFound, BeingRemoved, InvalidChange, Invalid for a name; WouldNotHold where
        *strict* was asked for.
        """
        container = self._roster.find(ref).container
        if request.reference is not None:
            catalogue.check_tag(request.reference)
        run = _run(container, request)
        omitted = omissions.of(container, self._volume_size)
        if request.strict and omitted:
            raise WouldNotHold(container, omitted)
        with self._library.lease() as lease:
            base = foundation(container, self._library, lease)
            image, pause = self._image(container, base, request, run, lease)
        self._tell(container, image, request)
        return Committed(image.id, pause.milliseconds, omitted)

    def _image(
        self,
        container: Container,
        base: Foundation,
        request: CommitRequest,
        run: Mapping[str, Any],
        lease: Lease,
    ) -> tuple[Image, Pause]:
        pauses: list[Pause] = []
        read = partial(self._read, container.id, on_pause=pauses.append)
        with Written(partial(read, whole=base.is_missing, freeze=request.pause)) as tar:
            layer = self._library.layers.ingest(tar, lease)
        added = [] if layer.diff_id == _NOTHING else [layer]
        step = Step(time.time_ns(), _command(container), request.comment, request.author)
        diff_id = added[0].diff_id if added else None
        image = self._library.add(
            edit.append_layer(base.config, diff_id, step, run=run),
            [*base.layers, *added],
            lease,
            references=[request.reference] if request.reference else (),
            parent=base.parent,
        )
        return image, pauses[0]

    def _read(
        self,
        container_id: str,
        out: BinaryIO,
        *,
        whole: bool,
        freeze: bool,
        on_pause: Callable[[Pause], None],
    ) -> None:
        """Write the layer, and let the container go as soon as its last file is read."""
        with ExitStack() as spooling:
            target: Output = out
            with ExitStack() as held:
                slot = held.enter_context(self._roster.locked(container_id))
                status = slot.container.state.status
                if status is State.REMOVING:
                    raise BeingRemoved(slot.container)
                if freeze and status is State.RUNNING:
                    # Whoever hashes and stores would hold up the reading: half the pause is his.
                    target = spooling.enter_context(spooled(out, self._places.containers))
                on_pause(held.enter_context(self._freezer.frozen(slot)) if freeze else Pause())
                self._pack(container_id, target, whole=whole)

    def _pack(self, container_id: str, out: Output, *, whole: bool) -> None:
        with self._roots.mounted(container_id) as rootfs:
            if whole:
                pack.tree(rootfs, out, mounts=False)
                return
            found = self._snapshotter.changes(container_id)
            changes = stubs.without(found, rootfs, self._places.directory(container_id))
            pack.pack(self._snapshotter.writable(container_id), changes, out)

    def _tell(self, container: Container, image: Image, request: CommitRequest) -> None:
        name = request.reference.familiar if request.reference else ""
        self._announcer.tell(
            container, "commit", comment=request.comment, imageID=str(image.id), imageRef=name
        )
        if name:
            self._library.bus.publish("image", "tag", str(image.id), {"name": name})


def _run(container: Container, request: CommitRequest) -> dict[str, Any]:
    """How the image is run: by the config asked for, or the container's; InvalidChange."""
    own = _document(container.config)
    asked = own if request.config is None else _document(request.config)
    changed = decode(msgspec.json.encode(edit.apply_changes(asked, request.changes)), Config)
    return _document(merge.merged(changed, own))


def _document(config: Config) -> dict[str, Any]:
    """The config as JSON has it, without what says nothing."""
    document = msgspec.to_builtins(config)
    if document["Healthcheck"]:
        document["Healthcheck"] = _without_zeros(document["Healthcheck"])
    return _without_zeros(document)


def _without_zeros(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value}


def _command(container: Container) -> str:
    """What the history says of the layer: the command that made it, as in Docker."""
    return " ".join(container.config.cmd or ())
