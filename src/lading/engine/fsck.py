"""Look over everything below a root while it is in use, and mend what can be mended.

Without *repair* nothing is changed.  What is damaged for good is told with its remedy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lading.container.record import Container
from lading.engine import fsck_blobs, fsck_garbage, fsck_images, fsck_places
from lading.engine.fsck_garbage import Piece
from lading.engine.fsck_images import Known
from lading.engine.fsck_values import Fault, Report
from lading.errors import Conflict
from lading.image.library import Library
from lading.image.progress import Listener, Progress
from lading.settings import Settings
from lading.store.database import Database
from lading.volume.values import Volume


class AlreadyChecking(Conflict):
    """Raised where another look at the same root goes on."""

    def __init__(self) -> None:
        super().__init__("this root is being checked already")


@dataclass(frozen=True, slots=True)
class Collected:
    """What `Fsck.collect` freed, or would; not *complete* where a damaged image hides its needs."""

    pieces: Sequence[Piece]
    complete: bool


class Fsck:
    """The check of one root; safe to use from any thread, once at a time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        library: Library,
        *,
        containers: Callable[[], Sequence[Container]],
        volumes: Callable[[], Sequence[Volume]],
    ) -> None:
        self._settings, self._database, self._library = settings, database, library
        self._containers, self._volumes = containers, volumes
        self._lock = threading.Lock()

    def check(self, listener: Listener, *, repair: bool, read_data: bool) -> Report:
        """Look at everything, in an order in which what is mended helps to mend the next."""
        with self._alone():
            known = Known.read(self._library, self._containers())
            found = [
                fault.settled() if repair else fault.finding
                for fault in self._faults(known, listener, read_data=read_data)
            ]
            usage = fsck_garbage.usage(self._library, self._settings)
            return Report(found, self._counts(known), usage, read_data)

    def collect(self, *, dry_run: bool) -> Collected:
        """Free what nothing needs, or only say what that is."""
        with self._alone():
            found = Collected(
                fsck_garbage.pieces(self._library, self._settings),
                self._library.garbage().complete,
            )
            if not dry_run:
                fsck_garbage.collect(self._library, self._settings)
            return found

    def _faults(self, known: Known, listener: Listener, *, read_data: bool) -> Iterator[Fault]:
        library, settings, database = self._library, self._settings, self._database
        snapshotter = library.snapshotter
        sizes = [library.blobs.size(each) for each in library.blobs.all()]
        advance = _telling(listener, "blobs", sum(sizes))
        yield from fsck_blobs.blobs(library, known, read_data=read_data, advance=advance)
        sizes = [library.layers.expanded_size(each) for each in known.layers]
        advance = _telling(listener, "layers", sum(sizes))
        yield from fsck_blobs.layers(library, known, read_data=read_data, advance=advance)
        yield from fsck_images.images(library, database, known)
        yield from fsck_images.rows(library, database)
        yield from fsck_places.containers(snapshotter, self._containers)
        yield from fsck_places.volumes(settings, self._volumes())
        yield from fsck_places.stale_mounts(settings, snapshotter, self._containers)
        yield from fsck_places.stale_folders(settings, snapshotter, self._containers)
        yield from fsck_garbage.faults(library, settings)

    def _counts(self, known: Known) -> list[tuple[str, int]]:
        return [
            ("blobs", sum(1 for _ in self._library.blobs.all())),
            ("layers", len(known.layers)),
            ("images", len(known.images)),
            ("containers", len(self._containers())),
            ("volumes", len(self._volumes())),
        ]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise AlreadyChecking
        try:
            yield
        finally:
            self._lock.release()


def _telling(listener: Listener, what: str, total: int) -> Callable[[int], None]:
    """Told how many bytes more are done, tells *listener* how many that are now."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        listener(Progress(what, "Verifying", done, max(total, done)))

    return advance
