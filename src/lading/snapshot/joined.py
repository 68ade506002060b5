"""Several drivers on one root: one takes what is new, each goes on with what it made.

A root gets there when its engine's default changes: by a newer kernel, or by the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lading.errors import Unsupported
from lading.layer.change import Change
from lading.linux.mounts import Mount
from lading.oci.digest import Digest
from lading.snapshot import records
from lading.snapshot.protocol import KeepsTars, SnapshotNotFound, Snapshotter


def joined(drivers: Sequence[Snapshotter], active: Path) -> Snapshotter:
    """The first of *drivers*, in front of the others; all keep their snapshots in *active*."""
    first, *others = drivers
    if not others:
        return first
    return (
        JoinedTars(first, others, active)
        if isinstance(first, KeepsTars)
        else Joined(first, others, active)
    )


class Joined:
    """The `Snapshotter` in front of several."""

    def __init__(self, first: Snapshotter, others: Sequence[Snapshotter], active: Path) -> None:
        self._first, self._active = first, active
        self._drivers = {driver.name: driver for driver in (first, *others)}
        self.name = first.name

    def add(self, layer: Digest | None, tar: BinaryIO) -> Digest:
        return self._first.add(layer, tar)

    def layers(self) -> Iterator[Digest]:
        """Those that any driver has."""
        yield from {layer for driver in self._drivers.values() for layer in driver.layers()}

    def location(self, layer: Digest) -> Path | None:
        """Where the first driver has it: what others have cannot be stacked by it."""
        return self._first.location(layer)

    def prepare(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._first.prepare(key, layers)

    def view(self, key: str, layers: Sequence[Digest]) -> tuple[Mount, ...]:
        return self._first.view(key, layers)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        return self._maker(key).mounts(key)

    def writable(self, key: str) -> Path:
        return self._maker(key).writable(key)

    def changes(self, key: str) -> Iterator[Change]:
        return self._maker(key).changes(key)

    def remove(self, key: str | Digest) -> None:
        if isinstance(key, Digest):
            for driver in self._drivers.values():
                driver.remove(key)
            return
        try:
            self._maker(key).remove(key)
        except SnapshotNotFound:
            self._first.remove(key)

    def damage(self, layer: Digest, *, thoroughly: bool = False) -> str:
        """What the first driver says, as with `location`."""
        return self._first.damage(layer, thoroughly=thoroughly)

    def mend(self, layer: Digest) -> bool:
        return self._first.mend(layer)

    def close(self) -> None:
        for driver in self._drivers.values():
            driver.close()

    def _maker(self, key: str) -> Snapshotter:
        name = records.read(self._active, key).driver
        if name not in self._drivers:
            raise Unsupported(f"snapshot {key} was made by a driver that is not here: {name!r}")
        return self._drivers[name]


class JoinedTars(Joined):
    """The same where the first keeps tars."""

    def tar(self, layer: Digest) -> Path | None:
        """The layer as it came."""
        assert isinstance(self._first, KeepsTars)  # `joined` sees to it
        return self._first.tar(layer)
