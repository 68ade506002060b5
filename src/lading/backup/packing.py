"""Put content into packs at a place: what is there already is not stored again.

Chunks are cut and named by the caller's thread, compressed by as many threads as there are
processors, and packs are written by two more; the order of chunks is that of the content.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO

from lading.backup import chunks, packs
from lading.backup import mediatypes as media
from lading.backup.packs import Coded, PackWriter
from lading.backup.place import Place
from lading.backup.sealing import Keys, namer
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_BATCH = 1024 * 1024  # bytes that a thread compresses at once
_WAITING = 8 * 1024 * 1024  # bytes that wait to be compressed, at most
_WRITES = 2  # packs that are being written, at most: one is synced while another is hashed
_MANY = 512  # packs of the first size; those after them are larger
_LARGE = 64 * 1024 * 1024


class Pack:
    """A pack that is stored, or is about to be: then its descriptor comes last."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: Descriptor | None = None) -> None:
        self.descriptor = descriptor


class Chunk:
    """Where a chunk is: known when it is in its pack."""

    __slots__ = ("number", "pack")

    def __init__(self, pack: Pack | None = None, number: int = -1) -> None:
        self.pack = pack
        self.number = number


Known = Callable[[], dict[bytes, Chunk]]
"""The chunks that are at the place, by name."""


class Packing:
    """One backup's way into the packs of a place.  Use it as a context; `finish` it once."""

    def __init__(self, place: Place, keys: Keys | None, known: Known) -> None:
        """*known* tells which chunks are at the place; it is asked when the first is wanted."""
        self._place, self._keys = place, keys
        self._name = namer(keys)
        self._load = known
        self._known: dict[bytes, Chunk] | None = None
        self._coders = ThreadPoolExecutor(os.cpu_count() or 1, "backup-zstd")
        self._writing = ThreadPoolExecutor(_WRITES, "backup-pack")
        self._own = threading.local()
        self._batch: list[tuple[Chunk, bytes, bytes]] = []
        self._batched = self._pending = 0
        self._coding: deque[tuple[Future[list[Coded]], list[Chunk], int]] = deque()
        self._writes: deque[Future[int]] = deque()
        self._pack, self._writer = Pack(), PackWriter(keys)
        self._written = 0
        self.patience = _WAITING  # raised while a container stands still
        self.read = self.added = 0  # bytes that were read, bytes of new packs

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, *failure: object) -> None:
        for pool in (self._coders, self._writing):
            pool.shutdown(wait=True, cancel_futures=True)

    def store(self, read: chunks.Read) -> list[Chunk]:
        """The chunks of what *read* gives until it gives nothing."""
        if self._known is None:
            self._known = self._load()
        return [self._chunk(self._known, content) for content in chunks.cut(read)]

    def finish(self) -> None:
        """All that was stored is durable, and every chunk knows its place."""
        self._submit()
        while self._coding:
            self._take()
        if not self._writer.is_empty:
            self._close_pack()
        while self._writes:
            self.added += self._writes.popleft().result()

    def _chunk(self, known: dict[bytes, Chunk], content: memoryview) -> Chunk:
        self.read += len(content)
        name = self._name(content)
        found = known.get(name)
        if found is None:
            found = known[name] = Chunk()
            self._batch.append((found, name, bytes(content)))
            self._batched += len(content)
            if self._batched >= _BATCH:
                self._submit()
        return found

    def _submit(self) -> None:
        if not self._batch:
            return
        rows = [(name, content) for _, name, content in self._batch]
        future = self._coders.submit(self._code, rows)
        self._coding.append((future, [chunk for chunk, _, _ in self._batch], self._batched))
        self._pending += self._batched
        self._batch, self._batched = [], 0
        while self._coding and (self._pending > self.patience or self._coding[0][0].done()):
            self._take()

    def _code(self, rows: Iterable[tuple[bytes, bytes]]) -> list[Coded]:
        compressor = getattr(self._own, "compressor", None)
        if compressor is None:
            compressor = self._own.compressor = packs.compressor()
        return [packs.code(name, content, compressor) for name, content in rows]

    def _take(self) -> None:
        """Put the oldest batch into packs."""
        future, waiting, size = self._coding.popleft()
        self._pending -= size
        for chunk, coded in zip(waiting, future.result(), strict=True):
            chunk.pack, chunk.number = self._pack, self._writer.add(coded)
            if self._writer.size >= (packs.FULL if self._written < _MANY else _LARGE):
                self._close_pack()

    def _close_pack(self) -> None:
        while len(self._writes) >= _WRITES or (self._writes and self._writes[0].done()):
            self.added += self._writes.popleft().result()
        self._writes.append(self._writing.submit(self._write, self._pack, self._writer))
        self._pack, self._writer = Pack(), PackWriter(self._keys)
        self._written += 1

    def _write(self, pack: Pack, writer: PackWriter) -> int:
        """Store it; the bytes that were new."""
        content = writer.finish()
        digest = Digest("sha256:" + hashlib.sha256(content).hexdigest())
        kind = media.PACK if self._keys is None else media.PACK_SEALED
        descriptor = Descriptor(kind, digest, len(content))
        pack.descriptor = descriptor
        if self._place.has(descriptor):
            return 0
        self._place.add(descriptor, BytesIO(content))
        return len(content)
