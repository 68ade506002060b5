"""What a registry has, opened together: store, database, and what is built on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lading.registry.server.blobs import Blobs
from lading.registry.server.listings import Listings
from lading.registry.server.manifests import Manifests
from lading.registry.server.quotas import Quotas
from lading.registry.server.tables import MIGRATIONS
from lading.registry.server.turnstile import Turnstile
from lading.registry.server.uploads import Uploads
from lading.registry.server.users import Users
from lading.store.blobs import BlobStore
from lading.store.database import Database


@dataclass(frozen=True, slots=True)
class Holdings:
    """The parts of one registry's root."""

    root: Path
    store: BlobStore
    database: Database
    turnstile: Turnstile
    blobs: Blobs
    manifests: Manifests
    listings: Listings
    uploads: Uploads
    users: Users
    quotas: Quotas


def open_root(
    root: Path, undo: ExitStack, *, clock: Callable[[], float], repository_quota: int | None = None
) -> Holdings:
    """Open the registry at *root*, made when it is not there; *undo* closes it."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(root / "registry.db", MIGRATIONS)
    undo.callback(database.close)
    turnstile = Turnstile(root / "turnstile")
    undo.callback(turnstile.close)
    store = BlobStore(root / "blobs", root / "staging", root / "trash")
    blobs = Blobs(store, database, turnstile, clock=clock)
    uploads = Uploads(root / "uploads", database, blobs, clock=clock)
    undo.callback(uploads.close)
    return Holdings(
        root,
        store,
        database,
        turnstile,
        blobs,
        Manifests(blobs, database, turnstile, clock=clock),
        Listings(database),
        uploads,
        Users(database, clock=clock),
        Quotas(database, repository_quota),
    )
