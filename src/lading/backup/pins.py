"""What this engine remembers of targets, so that nobody can quietly make them less.

A target that was encrypted stays so, under the same key; and of backups that were there once
it is told when they are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lading.backup.depot import Depot
from lading.errors import Corrupt
from lading.store.database import Database
from lading.store.records import Records

_NONE = "none"


class TargetChanged(Corrupt):
    """Raised where a target that was encrypted is so no more."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} was encrypted, and the target that is there now is not: "
            "somebody replaced it; if that was you, name another directory"
        )


class Pin(msgspec.Struct, frozen=True):
    """A target by where it is; *backups* are manifests' digests by tag."""

    id: str
    encryption: str
    key: str
    backups: dict[str, str] = {}


class Pins:
    """The targets that this engine has used."""

    def __init__(self, database: Database) -> None:
        self._records: Records[Pin] = Records(database, "backup-target", Pin)

    def check(self, depot: Depot) -> list[str]:
        """Warnings of what is less than it was; TargetChanged."""
        known = self._records.get(depot.location.identity)
        if known is None:
            return []
        now = _pin(depot)
        if known.encryption != _NONE and now.encryption == _NONE:
            raise TargetChanged(depot.location.text)
        if (known.id, known.key) != (now.id, now.key):
            return [f"{depot.location.text} is a new target: the one that was there is gone"]
        return _told(t for t, digest in known.backups.items() if now.backups.get(t) != digest)

    def keep(self, depot: Depot) -> None:
        """Remember the target as it is now."""
        self._records.put(depot.location.identity, _pin(depot))


def _told(missing: Iterable[str]) -> list[str]:
    names = ", ".join(sorted(missing)[:10])
    return [f"backups that were at the target are gone or replaced: {names}"] if names else []


def _pin(depot: Depot) -> Pin:
    backups = {tag: str(descriptor.digest) for tag, descriptor in depot.tags().items()}
    key = depot.keys.fingerprint if depot.keys else ""
    return Pin(depot.document.id, depot.document.encryption, key, backups)
