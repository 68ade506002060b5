"""Typed records by kind and key; a bad one is put aside, never in the way."""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

import msgspec

from lading.store.database import Database

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Records(Generic[T]):
    """The records of one *kind*, each a JSON document of *shape*."""

    def __init__(self, database: Database, kind: str, shape: type[T]) -> None:
        self._database = database
        self._kind = kind
        self._decoder = msgspec.json.Decoder(shape)

    def get(self, key: str) -> T | None:
        """The record, or None; one that cannot be read is quarantined and counts as absent."""
        rows = self._database.query(
            "SELECT value FROM records WHERE kind = ? AND key = ?", (self._kind, key)
        )
        return self._decode(key, rows[0][0]) if rows else None

    def put(self, key: str, record: T) -> None:
        """Write the record; durable when the transaction around it ends."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO records (kind, key, value) VALUES (?, ?, ?)",
                (self._kind, key, msgspec.json.encode(record)),
            )

    def delete(self, key: str) -> None:
        """Forget the record; idempotent."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (self._kind, key))

    def all(self) -> dict[str, T]:
        """Every readable record by key, sorted by key."""
        rows = self._database.query(
            "SELECT key, value FROM records WHERE kind = ? ORDER BY key", (self._kind,)
        )
        decoded = ((key, self._decode(key, value)) for key, value in rows)
        return {key: record for key, record in decoded if record is not None}

    def _decode(self, key: str, value: bytes) -> T | None:
        try:
            return self._decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._quarantine(key, value, str(error))
            return None

    def _quarantine(self, key: str, value: bytes, reason: str) -> None:
        _LOG.error("the record of %s %s is damaged and put aside: %s", self._kind, key, reason)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO quarantine (kind, key, value, reason) VALUES (?, ?, ?, ?)",
                (self._kind, key, value, reason),
            )
            connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (self._kind, key))
