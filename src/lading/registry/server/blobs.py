"""A registry's blobs: kept once, and read only by the repositories that have a link to them.

A link is looked up at every read, so a blob that was removed from a repository is gone for
it at once, whoever else has it (CVE-2026-35172).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from lading.errors import NotFound
from lading.oci.digest import Digest
from lading.registry.server.turnstile import Turnstile
from lading.registry.server.verified import Verified
from lading.store.blobs import BlobNotFound, BlobStore
from lading.store.database import Database

_FRESH = 60.0  # seconds for which a link that was just seen need not be written again
_LINK = """
    INSERT INTO links (repository, digest, owner, seen) VALUES (?, ?, ?, ?)
    ON CONFLICT (repository, digest) DO UPDATE SET seen = excluded.seen
"""


class BlobUnknown(NotFound):
    """Raised for a blob that the repository does not have."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"blob unknown to registry: {digest}")
        self.digest = digest


class Blobs:
    """The blobs of all repositories, each under a turnstile when it comes and goes."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        turnstile: Turnstile,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._database, self._turnstile = store, database, turnstile
        self._clock = clock
        self._verified = Verified(store, turnstile)

    def keep(self, part: Path, digest: Digest, repository: str, owner: str) -> None:
        """Make the synced file *part*, known to be *digest*, a blob of *repository*; durable."""
        size = part.stat().st_size
        with self._turnstile.passing():
            self._store.place(part, digest)
            self._verified.remember(digest)
            with self._database.transaction() as rows:
                self._insert(rows, digest, size)
                rows.execute(_LINK, (repository, str(digest), owner, self._clock()))

    def write(self, content: bytes, digest: Digest) -> None:
        """Keep a manifest's bytes; call it while passing the turnstile, before `record`."""
        if self._verified.knows(digest):
            return
        with self._store.write() as writer:
            writer.write(content)
            writer.commit(digest)
        self._verified.remember(digest)

    def record(self, rows: Any, digest: Digest, size: int) -> None:
        """Write the row of what `write` kept, in the caller's transaction."""
        self._insert(rows, digest, size)

    def mount(self, digest: Digest, source: str, target: str, owner: str) -> bool:
        """Give *target* what *source* has; whether it did."""
        with self._turnstile.passing(), self._database.transaction() as rows:
            if not self.has(source, digest):
                return False
            rows.execute(_LINK, (target, str(digest), owner, self._clock()))
        return True

    def holders(self, digest: Digest) -> list[str]:
        """The repositories that have the blob."""
        found = self._database.query(
            "SELECT repository FROM links WHERE digest = ? ORDER BY repository", (str(digest),)
        )
        return [name for (name,) in found]

    def has(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has it, and its file is here."""
        return self._linked(repository, digest) is not None and self._store.has(digest)

    def open(self, repository: str, digest: Digest) -> BinaryIO:
        """The blob's bytes, known to be right; BlobUnknown, DamagedBlob.

        What was found damaged counts as unknown from then on, and can be pushed again.
        """
        if self._linked(repository, digest) is None:
            raise BlobUnknown(digest)
        try:
            return self._verified.open(digest)
        except BlobNotFound:
            raise BlobUnknown(digest) from None

    def seen(self, repository: str, digest: Digest) -> None:
        """Note that a push relies on the blob: the collector leaves it alone for a while."""
        now, seen = self._clock(), self._linked(repository, digest)
        if seen is None or now - seen < _FRESH:
            return
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE links SET seen = ? WHERE repository = ? AND digest = ?",
                (now, repository, str(digest)),
            )

    def remove(self, repository: str, digest: Digest) -> None:
        """Take the blob from the repository; BlobUnknown.  The collector frees the bytes."""
        with self._database.transaction() as rows:
            done = rows.execute(
                "DELETE FROM links WHERE repository = ? AND digest = ?", (repository, str(digest))
            )
            if done.rowcount == 0:
                raise BlobUnknown(digest)

    def read(self, digest: Digest) -> bytes:
        """A manifest's bytes, verified; BlobNotFound, DamagedBlob."""
        with self._verified.open(digest) as file:
            return file.read()

    def _linked(self, repository: str, digest: Digest) -> float | None:
        found = self._database.query(
            "SELECT seen FROM links WHERE repository = ? AND digest = ?", (repository, str(digest))
        )
        return float(found[0][0]) if found else None

    def _insert(self, rows: Any, digest: Digest, size: int) -> None:
        rows.execute(
            "INSERT OR REPLACE INTO blobs (digest, size, scrubbed) VALUES (?, ?, ?)",
            (str(digest), size, self._clock()),
        )
