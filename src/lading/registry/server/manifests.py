"""A registry's manifests and tags, by repository.

A manifest is taken when all that it names is there, in one transaction that the collector
cannot come between; the tag that names it is written in the same one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lading.errors import Invalid, NotFound
from lading.oci.digest import Digest
from lading.registry.server.blobs import Blobs
from lading.registry.server.documents import Document
from lading.registry.server.turnstile import Turnstile
from lading.store.database import Database

_COLUMNS = "digest, media_type, size, artifact_type, annotations, pushed"


class ManifestUnknown(NotFound):
    """Raised for a manifest or a tag that the repository does not have."""

    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(f"manifest unknown: {repository} has no {reference}")


class ManifestBlobUnknown(Invalid):
    """Raised for a manifest that names what the repository does not have."""

    def __init__(self, digests: Iterable[Digest]) -> None:
        self.digests = sorted(digests)
        names = ", ".join(str(digest) for digest in self.digests[:5])
        super().__init__(f"manifest references blobs unknown to registry: {names}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a manifest without reading it."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str
    annotations: Mapping[str, str]
    pushed: float


class Manifests:
    """The manifests of all repositories."""

    def __init__(
        self,
        blobs: Blobs,
        database: Database,
        turnstile: Turnstile,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._blobs, self._database, self._turnstile = blobs, database, turnstile
        self._clock = clock

    def put(self, repository: str, document: Document, tags: Iterable[str], owner: str) -> None:
        """Take the manifest and give it *tags*, durable on return; ManifestBlobUnknown."""
        with self._turnstile.passing():
            self._check(repository, document)
            self._blobs.write(document.raw, document.digest)
            with self._database.transaction() as rows:
                self._check(repository, document)
                self._blobs.record(rows, document.digest, len(document.raw))
                self._insert(rows, repository, document, owner)
                for tag in tags:
                    rows.execute(
                        "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)",
                        (repository, tag, str(document.digest), self._clock()),
                    )

    def find(self, repository: str, reference: Digest | str) -> Entry:
        """The manifest that a digest or a tag names; ManifestUnknown."""
        digest = self._tagged(repository, reference) if isinstance(reference, str) else reference
        found = self._database.query(
            f"SELECT {_COLUMNS} FROM manifests WHERE repository = ? AND digest = ?",
            (repository, str(digest)),
        )
        if not found:
            raise ManifestUnknown(repository, str(reference))
        return _entry(found[0])

    def read(self, entry: Entry) -> bytes:
        """The manifest's bytes, verified; BlobNotFound, DamagedBlob."""
        return self._blobs.read(entry.digest)

    def referrers(self, repository: str, subject: Digest, artifact_type: str = "") -> list[Entry]:
        """The manifests whose subject is *subject*, of one type where it is given."""
        found = self._database.query(
            f"SELECT {_COLUMNS} FROM manifests WHERE repository = ? AND subject = ?"
            " AND (? = '' OR artifact_type = ?) ORDER BY pushed, digest",
            (repository, str(subject), artifact_type, artifact_type),
        )
        return [_entry(row) for row in found]

    def remove(self, repository: str, digest: Digest) -> list[str]:
        """Forget the manifest and the tags that name it, and answer them; ManifestUnknown."""
        with self._database.transaction() as rows:
            where = (repository, str(digest))
            done = rows.execute("DELETE FROM manifests WHERE repository = ? AND digest = ?", where)
            if done.rowcount == 0:
                raise ManifestUnknown(repository, str(digest))
            gone = rows.execute(
                "DELETE FROM tags WHERE repository = ? AND digest = ? RETURNING name", where
            ).fetchall()
            self._orphan(rows, repository, digest)
            rows.execute("DELETE FROM children WHERE repository = ? AND manifest = ?", where)
        return sorted(name for (name,) in gone)

    def untag(self, repository: str, tag: str) -> None:
        """Forget the tag alone; ManifestUnknown."""
        with self._database.transaction() as rows:
            done = rows.execute(
                "DELETE FROM tags WHERE repository = ? AND name = ?", (repository, tag)
            )
            if done.rowcount == 0:
                raise ManifestUnknown(repository, tag)

    def tags_of(self, repository: str, digest: Digest) -> list[str]:
        """The tags that name the manifest."""
        found = self._database.query(
            "SELECT name FROM tags WHERE repository = ? AND digest = ? ORDER BY name",
            (repository, str(digest)),
        )
        return [name for (name,) in found]

    def _tagged(self, repository: str, tag: str) -> Digest:
        found = self._database.query(
            "SELECT digest FROM tags WHERE repository = ? AND name = ?", (repository, tag)
        )
        if not found:
            raise ManifestUnknown(repository, tag)
        return Digest(found[0][0])

    def _check(self, repository: str, document: Document) -> None:
        missing = self._missing(repository, document)
        if missing:
            raise ManifestBlobUnknown(missing)

    def _missing(self, repository: str, document: Document) -> list[Digest]:
        blobs = [digest for digest in document.blobs if not self._blobs.has(repository, digest)]
        return blobs + [
            digest for digest in document.manifests if not self._has(repository, digest)
        ]

    def _has(self, repository: str, digest: Digest) -> bool:
        found = self._database.query(
            "SELECT 1 FROM manifests WHERE repository = ? AND digest = ?",
            (repository, str(digest)),
        )
        return bool(found)

    def _insert(self, rows: Any, repository: str, document: Document, owner: str) -> None:
        digest = str(document.digest)
        rows.execute(
            "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                *(repository, digest, document.media_type, len(document.raw)),
                *(str(document.subject or ""), document.artifact_type),
                *(json.dumps(dict(document.annotations)), owner, self._clock()),
            ),
        )
        rows.executemany(
            "INSERT OR REPLACE INTO children VALUES (?, ?, ?)",
            [(repository, digest, str(child)) for child in document.children],
        )

    def _orphan(self, rows: Any, repository: str, parent: Digest) -> None:
        """Mark the manifests that only this index named: they came with it, and go with it."""
        rows.execute(
            """
            UPDATE manifests SET orphaned = ? WHERE repository = ? AND digest IN (
                SELECT digest FROM children WHERE repository = ? AND manifest = ?
            ) AND digest NOT IN (SELECT digest FROM tags WHERE repository = ?)
            AND digest NOT IN (
                SELECT digest FROM children WHERE repository = ? AND manifest != ?
            )
            """,
            (
                *(self._clock(), repository, repository, str(parent)),
                *(repository, repository, str(parent)),
            ),
        )


def _entry(row: tuple[Any, ...]) -> Entry:
    digest, media_type, size, artifact_type, annotations, pushed = row
    return Entry(
        Digest(digest), media_type, size, artifact_type, json.loads(annotations), float(pushed)
    )
