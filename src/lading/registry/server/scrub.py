"""Hash what is kept, a little at a time, and put aside what is not what it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from lading.oci.digest import Digest
from lading.registry.server.turnstile import Turnstile
from lading.registry.server.verified import holds, put_aside
from lading.store.blobs import BlobStore
from lading.store.database import Database


class Scrubber:
    """Goes over all blobs, those first that were not looked at for longest."""

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

    def due(self, older_than: float) -> Digest | None:
        """The blob that has waited longest, if it has waited for so many seconds."""
        rows = self._database.query(
            "SELECT digest FROM blobs WHERE scrubbed <= ? ORDER BY scrubbed LIMIT 1",
            (self._clock() - older_than,),
        )
        return Digest(rows[0][0]) if rows else None

    def scrub(self, digest: Digest) -> bool:
        """Hash the blob; whether it is sound.  A damaged or missing one can be pushed again."""
        sound = True
        try:
            with self._store.path(digest).open("rb", buffering=0) as file:
                sound = holds(file, digest)
                if not sound:
                    put_aside(self._store, self._turnstile, digest, file)
        except FileNotFoundError:
            sound = False
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE blobs SET scrubbed = ? WHERE digest = ?", (self._clock(), str(digest))
            )
        return sound

    def all(self) -> Iterator[tuple[Digest, bool]]:
        """Hash every blob once; each with whether it is sound."""
        for (digest,) in self._database.query("SELECT digest FROM blobs ORDER BY digest"):
            yield Digest(digest), self.scrub(Digest(digest))

    def repositories(self, digest: Digest) -> list[str]:
        """Those that a damaged blob concerns."""
        rows = self._database.query(
            "SELECT repository FROM links WHERE digest = ? UNION"
            " SELECT repository FROM manifests WHERE digest = ?",
            (str(digest), str(digest)),
        )
        return [name for (name,) in rows]
