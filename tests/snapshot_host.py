"""A root with one snapshotter on it, for tests: it can be restarted, rebooted and looked into."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lading.linux.mounts import perform, unmount, unmount_below
from lading.oci.digest import Digest
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.sweep import clear
from tarball import Tarball


class Host:
    """One root, its snapshotter, and places to mount at."""

    def __init__(self, place: Path, make: Callable[[Path, Path], Snapshotter]) -> None:
        self._make, self.place = make, place
        self.layers, self.active = place / "layers", place / "containers"
        self.driver = make(self.layers, self.active)

    def restart(self, *, reboot: bool = False) -> None:
        """A new driver on the same root; after a reboot nothing is mounted."""
        if reboot:
            unmount_below(self.place)
        clear(self.layers, self.active)
        self.driver = self._make(self.layers, self.active)

    def add(self, *tars: Tarball | bytes) -> list[Digest]:
        contents = [tar if isinstance(tar, bytes) else tar.content for tar in tars]
        return [self.driver.add(Digest.of(c), io.BytesIO(c)) for c in contents]

    @contextmanager
    def mounted(self, key: str) -> Iterator[Path]:
        target = self.place / f"mounted-{key}"
        target.mkdir(exist_ok=True)
        perform(self.driver.mounts(key), target)
        try:
            yield target
        finally:
            unmount(target, lazy=True)

    @contextmanager
    def container(self, *tars: Tarball | bytes, key: str = "c") -> Iterator[Path]:
        """A mounted active snapshot over these layers; it stays when the context ends."""
        self.driver.prepare(key, self.add(*tars))
        with self.mounted(key) as root:
            yield root

    @contextmanager
    def viewed(self, layers: Sequence[Digest], key: str = "view") -> Iterator[Path]:
        self.driver.view(key, layers)
        try:
            with self.mounted(key) as root:
                yield root
        finally:
            self.driver.remove(key)

    def changes(self, key: str = "c") -> list[tuple[bytes, str]]:
        return [(change.path, change.kind.value) for change in self.driver.changes(key)]

    def litter(self) -> list[Path]:
        """What no layer and no snapshot owns."""
        return [p for p in self.place.rglob(".*") if p.name.startswith((".staging", ".trash"))]

    def close(self) -> None:
        self.driver.close()
        unmount_below(self.place)
