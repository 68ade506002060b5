"""The rows that were put aside: those that cannot be read, and those that name what is gone."""

from __future__ import annotations

from dataclasses import dataclass

from lading.store.database import Database


@dataclass(frozen=True, slots=True)
class PutAside:
    """One row, and why it is here; *at* is UTC, to the second."""

    kind: str
    key: str
    reason: str
    at: str


class Quarantine:
    """The rows put aside in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[PutAside]:
        """What is here, the oldest first."""
        rows = self._database.query("SELECT kind, key, reason, at FROM quarantine ORDER BY rowid")
        return [PutAside(*row) for row in rows]

    def put(self, kind: str, key: str, reason: str) -> None:
        """Put the row aside, as it is; nothing where there is none."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO quarantine (kind, key, value, reason)"
                " SELECT kind, key, value, ? FROM records WHERE kind = ? AND key = ?",
                (reason, kind, key),
            )
            connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    def drop_replaced(self) -> int:
        """Forget those that have a row again; how many they were."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM quarantine WHERE EXISTS (SELECT 1 FROM records"
                " WHERE records.kind = quarantine.kind AND records.key = quarantine.key)"
            ).rowcount
