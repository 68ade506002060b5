"""The tables of a registry's database.

``blobs`` says which bytes are kept; a repository may read those that ``links`` gives it.
``children`` is what each manifest names, and so what must stay.
"""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE blobs (
        digest TEXT PRIMARY KEY, size INTEGER NOT NULL, scrubbed REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX blobs_scrubbed ON blobs (scrubbed);
    CREATE TABLE links (
        repository TEXT NOT NULL, digest TEXT NOT NULL, owner TEXT NOT NULL, seen REAL NOT NULL,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;
    CREATE INDEX links_digest ON links (digest);
    CREATE TABLE manifests (
        repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,
        size INTEGER NOT NULL, subject TEXT NOT NULL, artifact_type TEXT NOT NULL,
        annotations BLOB NOT NULL, owner TEXT NOT NULL, pushed REAL NOT NULL, orphaned REAL,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;
    CREATE INDEX manifests_digest ON manifests (digest);
    CREATE INDEX manifests_subject ON manifests (repository, subject);
    CREATE TABLE children (
        repository TEXT NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (repository, manifest, digest)
    ) WITHOUT ROWID;
    CREATE INDEX children_digest ON children (repository, digest);
    CREATE TABLE tags (
        repository TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, pushed REAL NOT NULL,
        PRIMARY KEY (repository, name)
    ) WITHOUT ROWID;
    CREATE INDEX tags_digest ON tags (repository, digest);
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY, repository TEXT NOT NULL, user TEXT NOT NULL,
        began REAL NOT NULL, touched REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX uploads_repository ON uploads (repository);
    CREATE TABLE users (
        name TEXT PRIMARY KEY, password TEXT NOT NULL, rights BLOB NOT NULL, robot INTEGER NOT NULL,
        expires REAL, quota INTEGER
    ) WITHOUT ROWID;
    """,
)
