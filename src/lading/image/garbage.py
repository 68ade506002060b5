"""Free what no image, no operation and no container needs any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lading.image.image import Image
from lading.image.layers import Layers
from lading.oci.digest import Digest
from lading.snapshot.protocol import Snapshotter
from lading.store.blobs import BlobStore
from lading.store.leases import Lease, Leases


@dataclass(frozen=True, slots=True)
class Needs:
    """The blobs and the layers (by diff ID) that all images together need.

    Not *complete* where a damaged image cannot say what it needs.
    """

    blobs: frozenset[Digest]
    layers: frozenset[Digest]
    complete: bool = True

    @classmethod
    def of(cls, images: Iterable[Image]) -> Needs:
        found = list(images)
        named = (layer.digest for image in found for layer in image.manifest.layers)
        own = (digest for image in found for digest in (image.id, image.manifest.digest))
        layers = frozenset(diff_id for image in found for diff_id in image.diff_ids)
        return cls(frozenset((*named, *own)), layers)


@dataclass(frozen=True, slots=True)
class Garbage:
    """The blobs and the layers that nothing needs.

    Not *complete*, and empty, where a damaged image cannot say what it needs.
    """

    blobs: frozenset[Digest] = frozenset()
    layers: frozenset[Digest] = frozenset()
    complete: bool = False


class Collector:
    """Removes blobs and layers, under the guard that keeps arrivals and removals apart."""

    def __init__(
        self,
        blobs: BlobStore,
        layers: Layers,
        snapshotter: Snapshotter,
        guard: threading.RLock,
        needs: Callable[[], Needs],
    ) -> None:
        self._blobs, self._layers, self._snapshotter = blobs, layers, snapshotter
        self._guard, self._needs = guard, needs
        self._leases = Leases()
        self._postponed: set[Digest] = set()

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Keep what the lease comes to hold; at its end what is not needed by then goes."""
        held: frozenset[Digest] = frozenset()
        try:
            with self._leases.take() as lease:
                try:
                    yield lease
                finally:
                    held = lease.held
        finally:
            self.collect(held)

    def collect(self, candidates: Iterable[Digest]) -> int:
        """Free those *candidates*, blobs and layers, that nothing needs; the bytes that were."""
        with self._guard:
            needs = self._needs()
            held = self._leases.held()
            wanted = {*candidates, *self._postponed} - held
            self._postponed = set()
            layers = (wanted - needs.layers).intersection(self._snapshotter.layers())
            freed = sum(self._free_layer(digest) for digest in layers)
            # A bare tar and the layer made of it count once.
            return freed + sum(
                self._free_blob(digest, counted=digest in layers) for digest in wanted - needs.blobs
            )

    def garbage(self) -> Garbage:
        """What `sweep` would free now."""
        with self._guard:
            needs, held = self._needs(), self._leases.held()
            if not needs.complete:
                return Garbage()
            blobs = {*self._blobs.all(), *self._layers.recorded()} - needs.blobs - held
            layers = set(self._snapshotter.layers()) - needs.layers - held
            return Garbage(frozenset(blobs), frozenset(layers), complete=True)

    def sweep(self) -> int:
        """Free everything that nothing needs, unless a damaged image hides what it needs.

        The bytes that were.
        """
        with self._guard:
            found = self.garbage()
            return self.collect(found.blobs | found.layers)

    def _free_layer(self, diff_id: Digest) -> int:
        if self._layers.arriving:  # it could be the one that arrives
            self._postponed.add(diff_id)
            return 0
        self._snapshotter.remove(diff_id)
        return self._layers.expanded_size(diff_id)

    def _free_blob(self, digest: Digest, *, counted: bool) -> int:
        size = self._blobs.size(digest) if self._blobs.has(digest) else 0
        self._layers.forget(digest)
        return 0 if counted else size
