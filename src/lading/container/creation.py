"""Make a container: decide everything first, then its parts, and its record last."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from lading.container import (
    checks,
    discards,
    joining,
    merge,
    names,
    networking,
    placement,
    refusals,
)
from lading.container.announcing import Announcer
from lading.container.claims import Claims
from lading.container.options import Config, CreateRequest, HostConfig
from lading.container.placement import Facts
from lading.container.record import Container
from lading.container.roster import NameTaken, Roster
from lading.container.stowage import Stowage
from lading.errors import NotFound
from lading.image.image import Image
from lading.image.library import Library
from lading.oci.platform import Platform
from lading.snapshot.protocol import Snapshotter

_LOG = logging.getLogger(__name__)
_SHORT_ID = 12


class OtherPlatform(NotFound):
    """Raised for an image that is here, but not for the platform asked for, in Docker's words."""

    def __init__(self, ref: str, wanted: Platform, found: Platform) -> None:
        super().__init__(
            f"image with reference {ref} was found but does not match the specified platform:"
            f" wanted {wanted}, actual: {found}"
        )


class Creator:
    """Make containers from requests."""

    def __init__(
        self,
        roster: Roster,
        library: Library,
        snapshotter: Snapshotter,
        stowage: Stowage,
        announcer: Announcer,
        *,
        facts: Facts,
        containers: Path,
        find_network: networking.FindNetwork,
    ) -> None:
        self._roster, self._library, self._snapshotter = roster, library, snapshotter
        self._stowage, self._announcer = stowage, announcer
        self._facts, self._containers = facts, containers
        self._find_network = find_network
        self._images = Claims()

    def is_using(self, image_id: str) -> bool:
        """Whether a container is being made from that image."""
        return image_id in self._images

    def create(
        self, name: str | None, request: CreateRequest, platform: Platform | None = None
    ) -> tuple[Container, list[str]]:
        """The new container, and warnings; it is durable, or nothing is left of it.

        NotFound for the image, also where it is for another *platform*; Invalid and
        Unsupported for options, NameTaken.
        """
        container_id = secrets.token_hex(32)
        with (
            self._image(request.image, platform) as image,
            self._named(name, container_id) as chosen,
        ):
            config, host, warnings = self._decided(request, image, container_id)
            host, wanted = networking.completed(host, request.networking_config, self._find_network)
            points = joining.mount_points(config, host, self._find)
            with self._stowage.claimed(points) as mounts:
                container = Container(
                    id=container_id,
                    name=chosen,
                    created=time.time_ns(),
                    image_id=str(image.id),
                    config=config,
                    host=host,
                    networking=wanted,
                    layers=[str(layer) for layer in image.diff_ids],
                    driver=self._snapshotter.name,
                    mounts=mounts,
                )
                self._make(container, image)
        self._announcer.tell(container, "create")
        return container, warnings

    def _find(self, ref: str) -> Container:
        return self._roster.find(ref).container

    @contextmanager
    def _image(self, ref: str, platform: Platform | None) -> Iterator[Image]:
        """The image, which stays, with its layers, while the container is made of it."""
        with self._library.lease() as lease:
            image = self._library.resolve(ref)
            if platform and not platform.accepts(image.config.platform):
                raise OtherPlatform(ref, platform, image.config.platform)
            lease.hold(image.id, *image.diff_ids)
            with self._images.claim([str(image.id)]):
                # Looked at again: it may have gone before it was claimed.
                yield self._library.image(image.id)

    def _decided(
        self, request: CreateRequest, image: Image, container_id: str
    ) -> tuple[Config, HostConfig, list[str]]:
        """What the container is to be; raises for all that can be known to fail."""
        refusals.check(request.config, request.host_config)
        joining.check(request.config, request.host_config)
        host, dropped = discards.without(request.host_config, self._facts)
        host = placement.completed(host, self._facts)
        host = joining.resolved(host, self._find)
        config = merge.merged(request.config, image.config.run)
        config = msgspec.structs.replace(
            config, hostname=config.hostname or self._hostname(host, container_id)
        )
        warnings = checks.check(config, host, self._facts)
        merge.argv(config)
        return config, host, [*dropped, *warnings]

    @contextmanager
    def _named(self, name: str | None, container_id: str) -> Iterator[str]:
        """A name that is the container's; free again when the context ends in an error."""
        chosen = self._reserved(name, container_id)
        try:
            yield chosen
        except BaseException:
            self._roster.release(chosen, container_id)
            raise

    def _reserved(self, name: str | None, container_id: str) -> str:
        if name:
            chosen = names.check(name)
            self._roster.reserve(chosen, container_id)
            return chosen
        for attempt in range(100):
            chosen = names.invent() + (str(secrets.randbelow(1000)) if attempt > 4 else "")
            try:
                self._roster.reserve(chosen, container_id)
            except NameTaken:
                continue
            return chosen
        self._roster.reserve(container_id[:_SHORT_ID], container_id)
        return container_id[:_SHORT_ID]

    def _make(self, container: Container, image: Image) -> None:
        with ExitStack() as undo:
            self._snapshotter.prepare(container.id, self._library.mountable(image))
            undo.callback(self._snapshotter.remove, container.id)
            (self._containers / container.id).mkdir(mode=0o710, exist_ok=True)
            self._roster.add(container)
            undo.pop_all()

    def _hostname(self, host: HostConfig, container_id: str) -> str:
        """Its own short ID, or the name of whoever's network it shares."""
        if "host" in (host.network_mode, host.uts_mode):
            return os.uname().nodename
        other = joining.joined(host.network_mode)
        return self._find(other).config.hostname if other else container_id[:_SHORT_ID]
