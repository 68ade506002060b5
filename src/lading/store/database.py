"""The one SQLite file that is the engine's only commit point.

A row is durable when the transaction that wrote it has ended (WAL, synchronous=FULL).
One connection, guarded by a lock: writers wait for each other, never for long.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lading.errors import Corrupt, Unsupported

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE records (
        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE TABLE quarantine (
        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, reason TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    """,
)
SCHEMA = len(MIGRATIONS)


class NewerSchema(Unsupported):
    """Raised for a root that a newer lading wrote."""

    def __init__(self, path: Path, found: int, known: int = SCHEMA) -> None:
        super().__init__(
            f"{path} has schema {found}, and this lading knows up to {known}: "
            "use the lading that wrote it, or a newer one"
        )


class DamagedDatabase(Corrupt):
    """Raised where the file is not a database that SQLite can read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged ({why}): move it away, or restore it from a backup")


class Database:
    """The records of one root; safe to use from any thread."""

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        """Open or make the database, and bring its tables to the last of *migrations*.

        NewerSchema, DamagedDatabase.
        """
        self._path = path
        self._migrations = migrations
        self._lock = threading.RLock()
        self._depth = 0
        if not path.exists():  # else SQLite would make it readable to all
            path.touch(0o600)
        try:
            self._connection = sqlite3.connect(
                path, timeout=10, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise DamagedDatabase(path, str(error)) from error

    @property
    def path(self) -> Path:
        return self._path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable at the end; an inner transaction joins the outer one."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._end("ROLLBACK")
                raise
            self._end("COMMIT")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a reading statement."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _end(self, word: str) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        try:
            self._connection.execute(word)
        except sqlite3.Error:
            if self._connection.in_transaction:  # a COMMIT that failed, on a full disk perhaps
                self._connection.execute("ROLLBACK")
            if word == "COMMIT":
                raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        known = len(self._migrations)
        if found > known:
            raise NewerSchema(self._path, found, known)
        for version in range(found, known):
            script = (
                f"BEGIN; {self._migrations[version]} PRAGMA user_version={version + 1}; COMMIT;"
            )
            self._connection.executescript(script)
