"""Free what nothing needs, while the registry serves.

Links that no manifest of their repository needs go first, then the bytes that no link and
no manifest needs.  A push in progress is not harmed: what it saw since it began, and a
while before, stays; and each removal is decided and done while nothing else may come in.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.oci.digest import Digest
from lading.registry.server.turnstile import Turnstile
from lading.registry.server.uploads import GRACE
from lading.store.blobs import BlobStore
from lading.store.database import Database

_BATCH = 200
_ORPHANS = """
    SELECT repository, digest FROM manifests AS m WHERE orphaned < ?
    AND NOT EXISTS (SELECT 1 FROM tags AS t
        WHERE t.repository = m.repository AND t.digest = m.digest)
    AND NOT EXISTS (SELECT 1 FROM children AS c
        WHERE c.repository = m.repository AND c.digest = m.digest)
"""
_LINKS = """
    SELECT repository, digest FROM links AS l WHERE seen < MIN(?, COALESCE(
        (SELECT MIN(began) - ? FROM uploads AS u WHERE u.repository = l.repository), ?))
    AND NOT EXISTS (SELECT 1 FROM children AS c
        WHERE c.repository = l.repository AND c.digest = l.digest)
"""
_BLOBS = """
    SELECT digest, size FROM blobs AS b
    WHERE NOT EXISTS (SELECT 1 FROM links AS l WHERE l.digest = b.digest)
    AND NOT EXISTS (SELECT 1 FROM manifests AS m WHERE m.digest = b.digest)
"""


@dataclass(slots=True)
class Swept:
    """What a collection freed, or would free."""

    manifests: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    bytes: int = 0


class Collector:
    """Collects one registry's root; several processes may."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        turnstile: Turnstile,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._database, self._turnstile = store, database, turnstile
        self._grace, self._clock = grace, clock

    def collect(self) -> Swept:
        """Free what is not needed; each step is durable by itself."""
        swept = Swept()
        while batch := self._drop_rows():
            swept.manifests += batch.manifests
            swept.links += batch.links
        while blobs := self._drop_blobs():
            swept.blobs += [digest for digest, _ in blobs]
            swept.bytes += sum(size for _, size in blobs)
        return swept

    def preview(self) -> Swept:
        """What `collect` would free now; nothing is changed."""
        swept = Swept()
        with contextlib.suppress(_Undo), self._database.transaction() as rows:
            while self._drop(rows, swept):
                pass
            found = rows.execute(_BLOBS).fetchall()
            swept.blobs = [digest for digest, _ in found]
            swept.bytes = sum(size for _, size in found)
            raise _Undo
        return swept

    def sweep_strays(self) -> int:
        """Remove files that no row knows, left by a crash; how many.  For when a server starts."""
        removed = 0
        for digest in self._store.all():
            with self._turnstile.passing():
                known = self._database.query("SELECT 1 FROM blobs WHERE digest = ?", (str(digest),))
                if not known:
                    self._store.remove(digest)
                    removed += 1
        return removed

    def _drop_rows(self) -> Swept | None:
        swept = Swept()
        with self._turnstile.passing(), self._database.transaction() as rows:
            more = self._drop(rows, swept)
        return swept if more else None

    def _drop(self, rows: Any, swept: Swept) -> bool:
        """Drop one batch of manifests and links; whether there was any."""
        limit = self._clock() - self._grace
        orphans = rows.execute(f"{_ORPHANS} LIMIT ?", (limit, _BATCH)).fetchall()
        for where in orphans:
            rows.execute("DELETE FROM manifests WHERE repository = ? AND digest = ?", where)
            rows.execute("DELETE FROM children WHERE repository = ? AND manifest = ?", where)
            swept.manifests.append("@".join(where))
        links = rows.execute(f"{_LINKS} LIMIT ?", (limit, self._grace, limit, _BATCH)).fetchall()
        rows.executemany("DELETE FROM links WHERE repository = ? AND digest = ?", links)
        swept.links += ["@".join(where) for where in links]
        return bool(orphans or links)

    def _drop_blobs(self) -> Sequence[tuple[str, int]]:
        with self._turnstile.passing():
            with self._database.transaction() as rows:
                found = rows.execute(f"{_BLOBS} LIMIT ?", (_BATCH,)).fetchall()
                rows.executemany("DELETE FROM blobs WHERE digest = ?", [row[:1] for row in found])
            for digest, _ in found:
                self._store.remove(Digest(digest))
        return found


class _Undo(Exception):
    """Ends a transaction that was only for looking."""


def empty(folder: Path) -> None:
    """Remove what a crash left in *folder*, which holds work in progress and no directories."""
    for file in folder.iterdir() if folder.is_dir() else ():
        file.unlink(missing_ok=True)
