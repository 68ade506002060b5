"""Blobs on their way between registries and here, each told of to whoever waits for it.

Several pulls that want the same blob share one download: the first fetches it and the
others wait, and when it gives up the next one goes on.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from lading.image.progress import Listener, Progress
from lading.image.transfer import Source, Target
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_STEP = 512 * 1024  # bytes between two reports of progress


class _Arrival:
    """One blob that is wanted, and by whom."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.listeners: list[Listener] = []


class Arrivals:
    """The blobs that are coming now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: dict[Digest, _Arrival] = {}

    @contextmanager
    def turn(self, digest: Digest, listener: Listener) -> Iterator[None]:
        """While nobody else fetches the blob; *listener* hears of it meanwhile as well."""
        with self._lock:
            arrival = self._arrivals.setdefault(digest, _Arrival())
            arrival.listeners.append(listener)
        try:
            with arrival.turn:
                yield
        finally:
            with self._lock:
                if listener in arrival.listeners:
                    arrival.listeners.remove(listener)
                if not arrival.listeners:
                    self._arrivals.pop(digest, None)

    def tell(self, digest: Digest, progress: Progress) -> None:
        """Tell all who wait; one that will not hear any more raises, the last one here."""
        with self._lock:
            arrival = self._arrivals.get(digest)
            listeners = list(arrival.listeners) if arrival else []
        for listener in listeners:
            try:
                listener(progress)
            except Exception:
                assert arrival is not None
                with self._lock:
                    if listener in arrival.listeners:
                        arrival.listeners.remove(listener)
                    gone = not arrival.listeners
                if gone:
                    raise


class Listening:
    """One pull's part in it: what it fetches, and what it hears."""

    def __init__(self, arrivals: Arrivals, source: Source, on_progress: Listener) -> None:
        self._arrivals, self._source, self._on_progress = arrivals, source, on_progress
        self._fetched: set[Digest] = set()

    @contextmanager
    def turn(self, descriptor: Descriptor) -> Iterator[None]:
        """While this pull is the one that fetches the blob, if it is not here yet."""
        with self._arrivals.turn(descriptor.digest, self._on_progress):
            yield
            fetched = descriptor.digest in self._fetched
        if not mediatypes.is_layer(descriptor.media_type):
            return
        status = "Pull complete" if fetched else "Already exists"
        self._on_progress(Progress(descriptor.digest.short, status))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The blob from the source, reported while it is read: this is a `Source`."""
        stream = self._source.open(descriptor)
        self._fetched.add(descriptor.digest)
        if not mediatypes.is_layer(descriptor.media_type):
            return stream
        return cast(BinaryIO, Counted(stream, lambda count: self._tell(descriptor, count)))

    def _tell(self, descriptor: Descriptor, count: int) -> None:
        whole = count == descriptor.size
        status = "Extracting" if whole else "Downloading"
        progress = Progress(descriptor.digest.short, status, count, descriptor.size)
        self._arrivals.tell(descriptor.digest, progress)


class CountedTarget:
    """A registry, with what each layer comes to told as Docker tells it."""

    def __init__(self, target: Target, on_progress: Listener) -> None:
        self._target, self._on_progress = target, on_progress
        self.mounted: set[Digest] = set()

    def has(self, descriptor: Descriptor) -> bool:
        found = self._target.has(descriptor)
        if found and descriptor.digest not in self.mounted:
            self._say(descriptor, "Layer already exists")
        return found

    def mount(self, descriptor: Descriptor, place: str) -> None:
        """Tell that the registry took the blob from another repository of its own."""
        self.mounted.add(descriptor.digest)
        self._say(descriptor, f"Mounted from {place}")

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        counted = Counted(stream, lambda count: self._say(descriptor, "Pushing", count))
        self._target.add(descriptor, cast(BinaryIO, counted))
        self._say(descriptor, "Pushed")

    def _say(self, descriptor: Descriptor, status: str, current: int = 0) -> None:
        if mediatypes.is_layer(descriptor.media_type):
            total = descriptor.size if current else 0
            self._on_progress(Progress(descriptor.digest.short, status, current, total))


class Counted(io.RawIOBase):
    """*stream*, with how much of it has been read told at every step and at the end."""

    def __init__(self, stream: BinaryIO, tell: Callable[[int], None]) -> None:
        self._stream, self._tell = stream, tell
        self._passed = self._told = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._passed += len(piece)
        if self._passed - self._told >= _STEP or (not piece and self._told < self._passed):
            self._told = self._passed
            self._tell(self._passed)
        return piece

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()
