"""The mounts of layers that are EROFS indexes: one for each layer, shared by all who stack it.

A layer is mounted when somebody first needs it.  One that nothing stacks any more stays
mounted for a while, for what its pages are worth to the next container.
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lading.linux import loop
from lading.linux.mounts import Mount, MountFailed, perform, table, unmount, unmount_below
from lading.oci.digest import Digest

TAR, INDEX, FILES = "layer.tar", "layer.erofs", "fs"
_IDLE_SECONDS = 600
_LOOK_EVERY = 60  # seconds
_STACKED = re.compile(rf"/([0-9a-f]{{64}})/{FILES}\b")


def mount(index: Path, tar: Path, target: Path) -> None:
    """Mount on *target* the layer that *index* describes and whose data *tar* holds.

    MountFailed, or OSError, where the kernel cannot.
    """
    try:
        perform((_layer(index, tar),), target)
    except MountFailed as error:
        # Files are mounted from Linux 6.12 on, and never those on tmpfs.
        if error.code != errno.ENOTBLK:
            raise
        with loop.attached(index) as one, loop.attached(tar) as other:
            perform((_layer(one, other),), target)


def _layer(index: Path, tar: Path) -> Mount:
    return Mount("erofs", str(index), ("ro", f"device={tar}"))


class LayerMounts:
    """Mounts below one folder, those of an engine before this one included."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder.resolve(), clock
        targets = (entry.target for entry in table() if entry.type == "erofs")
        found = [t.parent.name for t in targets if t.parent.parent == self._folder]
        self._used = dict.fromkeys(found, clock())  # by the layer's hex digits
        self._looked_at = clock()
        self._lock = threading.Lock()

    def at(self, layer: Digest, verify: Callable[[], object]) -> Path:
        """Where *layer* is mounted; if it was not yet, *verify* is called before."""
        home = self._folder / layer.hex
        target = home / FILES
        with self._lock:
            if layer.hex not in self._used:
                verify()
                mount(home / INDEX, home / TAR, target)
            self._used[layer.hex] = self._clock()
        return target

    def has(self, layer: Digest) -> bool:
        """Whether it is mounted now."""
        with self._lock:
            return layer.hex in self._used

    def drop(self, layer: Digest) -> None:
        """Unmount it; whoever stacked it keeps what is there.  Idempotent."""
        with self._lock:
            self._drop(layer.hex)

    def tidy(self) -> None:
        """Unmount what nothing has stacked for some time; cheap when called often."""
        now = self._clock()
        with self._lock:
            if now - self._looked_at < _LOOK_EVERY:
                return
            self._looked_at = now
            self._used.update(dict.fromkeys(self._stacked() & self._used.keys(), now))
            for name in [name for name, used in self._used.items() if now - used > _IDLE_SECONDS]:
                self._drop(name)

    def close(self) -> None:
        """Unmount all."""
        with self._lock:
            unmount_below(self._folder)
            self._used.clear()

    def _drop(self, name: str) -> None:
        if self._used.pop(name, None) is not None:
            # Lazily: overlayfs holds on to what it stacks, and a reader to what it has open.
            unmount(self._folder / name / FILES, lazy=True)

    def _stacked(self) -> set[str]:
        """The layers that some overlay names: the mount table is the only count kept."""
        overlays = (entry.options for entry in table() if entry.type == "overlay")
        return {name for options in overlays for name in _STACKED.findall(options)}
