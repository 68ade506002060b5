"""Backups of containers, whole: capture, store, verify, restore (docs/backup-format.md).

What a target holds can be read without any engine, by whoever has the secret:

    from lading.backup import Contents, Location, Secret, open_depot

    depot = open_depot(Location.parse("/backups"), Secret.passphrase(b"open sesame"))
    for backup in depot.stored():
        print(backup.tag, backup.bill.container.name, backup.bill.paused_ms)
        with Contents.on(depot, backup.bill) as contents:
            for part in backup.bill.parts:
                tree = depot.tree(part)
                for entry in tree.entries:
                    content = b"".join(contents.pieces(tree, entry))

Making and restoring backups needs the parts of an engine: `creating.Creation` and
`restoring.Restoration` are given them, as `lading.engine.backups` does.
"""

from __future__ import annotations

from lading.backup.bill import Bill, Part
from lading.backup.contents import Contents
from lading.backup.depot import Depot, Stored, open_depot
from lading.backup.locations import Location
from lading.backup.slots import Secret
from lading.backup.tree import Entry, Kind, Tree
from lading.backup.verifying import verify

__all__ = [
    "Bill",
    "Contents",
    "Depot",
    "Entry",
    "Kind",
    "Location",
    "Part",
    "Secret",
    "Stored",
    "Tree",
    "open_depot",
    "verify",
]
