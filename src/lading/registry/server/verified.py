"""Blobs that need not be hashed again before they are sent.

A blob's bytes are hashed once in this process's life, and again when its file is another
one or was touched: the file's identity is remembered with the verdict.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from typing import BinaryIO

from lading.oci.digest import Digest
from lading.registry.server.turnstile import Turnstile
from lading.store.blobs import BlobNotFound, BlobStore, DamagedBlob

_MOST = 100_000
_PIECE = 1024 * 1024

Identity = tuple[int, int, int, int]


class Verified:
    """Which files held what their names say, when they were last looked at."""

    def __init__(self, store: BlobStore, turnstile: Turnstile) -> None:
        self._store, self._turnstile = store, turnstile
        self._lock = threading.Lock()
        self._known: OrderedDict[Digest, Identity] = OrderedDict()
        self._hashing: dict[Digest, threading.Lock] = {}

    def remember(self, digest: Digest) -> None:
        """Note that the blob was hashed while it came in."""
        self._note(digest, _identity(self._store.path(digest).stat()))

    def knows(self, digest: Digest) -> bool:
        """Whether the blob is there, and was hashed since it was last touched."""
        try:
            found = _identity(self._store.path(digest).stat())
        except FileNotFoundError:
            return False
        with self._lock:
            return self._known.get(digest) == found

    def open(self, digest: Digest) -> BinaryIO:
        """The blob's file, hashed if it was not yet; BlobNotFound, DamagedBlob."""
        try:
            file = self._store.path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobNotFound(digest) from None
        try:
            self._check(digest, file)
        except BaseException:
            file.close()
            raise
        return file

    def _check(self, digest: Digest, file: BinaryIO) -> None:
        if self._is_known(digest, file):
            return
        with self._lock:
            hashing = self._hashing.setdefault(digest, threading.Lock())
        try:
            with hashing:  # many may ask for one blob, which is hashed once
                if not self._is_known(digest, file):
                    self._hash(digest, file)
        finally:
            with self._lock:
                self._hashing.pop(digest, None)

    def _hash(self, digest: Digest, file: BinaryIO) -> None:
        identity = _identity(os.fstat(file.fileno()))
        if not holds(file, digest):
            put_aside(self._store, self._turnstile, digest, file)
            raise DamagedBlob(digest)
        self._note(digest, identity)

    def _is_known(self, digest: Digest, file: BinaryIO) -> bool:
        with self._lock:
            return self._known.get(digest) == _identity(os.fstat(file.fileno()))

    def _note(self, digest: Digest, identity: Identity) -> None:
        with self._lock:
            self._known[digest] = identity
            self._known.move_to_end(digest)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)


def holds(file: BinaryIO, digest: Digest) -> bool:
    """Whether *file*, read from its start, has *digest*; its position does not move."""
    found = hashlib.new(digest.algorithm)
    offset = 0
    while piece := os.pread(file.fileno(), _PIECE, offset):
        found.update(piece)
        offset += len(piece)
    return found.hexdigest() == digest.hex


def put_aside(store: BlobStore, turnstile: Turnstile, digest: Digest, file: BinaryIO) -> None:
    """Quarantine the damaged *file*, unless a sound one has taken its place meanwhile."""
    with turnstile.passing():
        try:
            is_same = os.path.samestat(os.fstat(file.fileno()), store.path(digest).stat())
        except FileNotFoundError:
            return
        if is_same:
            store.quarantine(digest)


def _identity(status: os.stat_result) -> Identity:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
