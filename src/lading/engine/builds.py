"""Builds joined to the rest: commands run as errands, base images pulled, space freed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lading.build.builder import Builder
from lading.build.cache import Cache
from lading.build.worker import Finished, Guard, OnOutput, Order
from lading.container.errands import Errand, Errands
from lading.container.options import Config, HostConfig, decode
from lading.engine.sharing import Sharing
from lading.errors import LadingError
from lading.image.library import Library
from lading.layer import pack
from lading.layer.pack import Output
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry import credentials
from lading.settings import Settings

_MOUNT = "exec.cachemount"
_MOUNT_TEXT = "directory of RUN --mount=type=cache"
_HOSTNAME = "build"  # the same for every command, so that what it writes is too


class ErrandWorker:
    """The builder's `Worker` over the engine's containers."""

    def __init__(self, errands: Errands) -> None:
        self._errands = errands

    @contextmanager
    def run(self, order: Order, *, on_output: OnOutput, guard: Guard) -> Iterator[Finished]:
        """Run the order's command as a container's would be run."""
        with self._errands.run(_errand(order), on_output=on_output, guard=guard) as finished:
            yield finished

    def view(
        self, layers: Sequence[Digest], *, writable: bool = False
    ) -> AbstractContextManager[Path]:
        return self._errands.view(layers, writable=writable)


def _errand(order: Order) -> Errand:
    host = decode(msgspec.json.encode(order.limits), HostConfig)
    host = msgspec.structs.replace(
        host,
        network_mode=order.network,
        extra_hosts=list(order.hosts) or None,
    )
    is_private = order.network != "host"
    config = Config(
        hostname=_HOSTNAME if is_private else "",
        user=order.user,
        working_dir=order.directory,
        env=[f"{name}={value}" for name, value in order.environment.items()],
        entrypoint=list(order.argv),
    )
    return Errand(config=config, host=host, layers=order.layers, mounts=order.mounts)


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """One thing in the build cache; times are nanoseconds since 1970.

    *shared*: an image has the layer too, so that removing this frees nothing.
    """

    id: str
    kind: str  # regular, or exec.cachemount
    description: str
    size: int
    created: int
    used: int
    uses: int
    shared: bool


class Builds:
    """Build images, and look after what that leaves for the next time."""

    def __init__(self, builder: Builder, cache: Cache, library: Library, errands: Errands) -> None:
        self._builder, self._cache = builder, cache
        self._library, self._errands = library, errands
        self.build, self.check, self.open = builder.build, builder.check, builder.open

    def write_files(self, ref: str, out: Output) -> None:
        """The files of an image as one tar; ImageNotFound, DamagedImage."""
        with self._library.lease() as lease:
            image = self._library.resolve(ref)
            lease.hold(image.id, *image.diff_ids)
            with self._errands.view(self._library.mountable(image)) as root:
                pack.tree(root, out, top=False, mounts=False)

    def usage(self) -> list[CacheUsage]:
        """Everything in the cache, the layers' rows first; a layer counts in its first row."""
        named = {layer for row in self._library.catalogue.ids() for layer in self._layers(row)}
        seen: set[str] = set()
        found = []
        for key, row in self._cache.rows().items():
            size = 0 if row.diff_id in seen else row.size
            seen.add(row.diff_id)
            times = (row.created, row.used, row.uses)
            found.append(CacheUsage(key, "regular", row.text, size, *times, row.diff_id in named))
        for each in self._builder.caches.list():
            times = (each.used, each.used, 1)
            found.append(CacheUsage(each.name, _MOUNT, _MOUNT_TEXT, each.size, *times, False))
        return found

    def prune(
        self, *, everything: bool = False, unused_since: int | None = None, keep: int = 0
    ) -> tuple[list[str], int]:
        """Free the cache, the longest unused first, down to *keep* bytes; what went, and bytes.

        Unless *everything*, what an image has as well stays: it would free nothing.
        """
        rows = sorted(self.usage(), key=lambda each: each.used)
        total = sum(each.size for each in rows)
        gone: list[str] = []
        freed = 0
        with self._library.lease() as lease:  # what it holds is collected at its end
            for each in rows:
                if (each.shared and not everything) or (keep and total - freed <= keep):
                    continue
                if unused_since is not None and each.used >= unused_since:
                    continue
                if not self._remove(each, lease.hold):
                    continue
                gone.append(each.id)
                freed += 0 if each.shared else each.size
        return gone, freed

    def _remove(self, each: CacheUsage, hold: Callable[..., None]) -> bool:
        if each.kind != "regular":
            return self._builder.caches.remove(each.id)
        row = self._cache.rows().get(each.id)
        if row is not None and row.blob:
            hold(Digest(row.blob), Digest(row.diff_id))
        self._cache.forget(each.id)
        return True

    def _layers(self, image: Digest) -> list[str]:
        try:
            return [str(layer) for layer in self._library.image(image).diff_ids]
        except LadingError:  # damaged, or gone meanwhile
            return []


def join(
    settings: Settings, library: Library, errands: Errands, cache: Cache, sharing: Sharing
) -> Builds:
    """Building; images in which a step failed can be asked for by their IDs."""

    def pull(name: str, platform: Platform, logins: Mapping[str, Any]) -> None:
        reference = Reference.parse(name)
        sharing.pull(
            *(reference, _login(logins, reference.domain)),
            platform=platform,
            on_progress=lambda progress: None,
        )

    builder = Builder(settings.root / "build", library, ErrandWorker(errands), cache, pull=pull)
    library.recall = builder.recall
    return Builds(builder, cache, library, errands)


def _login(logins: Mapping[str, Any], registry: str) -> credentials.Credentials:
    """What ``X-Registry-Config`` has for the registry, which it calls as Docker's file does."""
    entry = logins.get(credentials.key(registry)) or {}
    return credentials.from_header(base64.urlsafe_b64encode(json.dumps(entry).encode()).decode())
