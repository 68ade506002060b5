"""What every snapshotter promises.

A layer is known by its diff ID, whatever lies below it, so that all images share it
and layers can be added side by side.  A snapshot is a stack of layers; an active one
has a writable layer on top, and is known by a key (a container's ID).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from lading.errors import Conflict, NotFound
from lading.layer.change import Change
from lading.linux.mounts import Mount
from lading.oci.digest import Digest


class LayerNotFound(NotFound):
    """Raised where a snapshot names a layer that is not here."""

    def __init__(self, layer: Digest) -> None:
        super().__init__(f"no such layer: {layer}")
        self.layer = layer


class SnapshotNotFound(NotFound):
    """Raised for a key that names no snapshot."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no such snapshot: {key}")
        self.key = key


class SnapshotExists(Conflict):
    """Raised where a new snapshot's key is taken."""

    def __init__(self, key: str) -> None:
        super().__init__(f"snapshot exists already: {key}")
        self.key = key


MISSING = "it is missing"  # what `Snapshotter.damage` says of a layer that is not here


class Snapshotter(Protocol):
    """Layers made mountable, under copy-on-write."""

    name: str

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        """Keep the uncompressed *tar*, and say its diff ID; idempotent, durable on return.

        The whole stream is read and hashed; Corrupt (and nothing kept) when it is not *layer*.
        None takes whatever it is: archives bring layers before they say which ones.
        """
        ...

    def layers(self) -> Iterator[Digest]:
        """The diff IDs of all layers that are here, in no order."""
        ...

    def location(self, layer: Digest) -> Path | None:
        """Where the layer lies on this host; None when it is not here."""
        ...

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        """Make an active snapshot over *layers*, bottom first; SnapshotExists, LayerNotFound."""
        ...

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        """The same without a writable layer."""
        ...

    def mounts(self, key: str) -> tuple[Mount, ...]:
        """How to mount the snapshot, also after a restart; SnapshotNotFound."""
        ...

    def writable(self, key: str) -> Path:
        """The directory that holds what `changes` tells of, for reading; SnapshotNotFound."""
        ...

    def changes(self, key: str) -> Iterator[Change]:
        """What the active snapshot changed over its layers, sorted by path, parents first."""
        ...

    def remove(self, key: str | Digest) -> None:
        """Free a snapshot (by key) or a layer (by diff ID); idempotent."""
        ...

    def damage(self, layer: Digest, *, thoroughly: bool = False) -> str:
        """What is wrong with a layer, that it is missing included; empty where nothing is.

        *thoroughly* reads every byte where the driver knows what they were.
        """
        ...

    def mend(self, layer: Digest) -> bool:
        """Make a damaged layer whole from what is left of it; whether that worked."""
        ...

    def close(self) -> None:
        """Take off what the driver itself has mounted, for good; snapshots are unmounted by now."""
        ...


@runtime_checkable
class KeepsTars(Protocol):
    """A snapshotter whose layers hold the tars they came from, byte for byte."""

    def tar(self, layer: Digest) -> Path | None:
        """The file that is the layer's tar, never changed, only unlinked; None if not here."""
        ...
