"""The media types of what a backup is made of (docs/backup-format.md)."""

from __future__ import annotations

BACKUP = "application/vnd.lading.backup.v1"  # artifactType of a backup's manifest
BILL = "application/vnd.lading.bill.v1+json"
BILL_SEALED = "application/vnd.lading.bill.v1+sealed"
TREE = "application/vnd.lading.tree.v1"
TREE_SEALED = "application/vnd.lading.tree.v1+sealed"
PACK = "application/vnd.lading.pack.v1"
PACK_SEALED = "application/vnd.lading.pack.v1+sealed"
TARGET = "application/vnd.lading.target.v1"  # artifactType of the target's own manifest
TARGET_CONFIG = "application/vnd.lading.target.v1+json"

BILLS = frozenset({BILL, BILL_SEALED})
TREES = frozenset({TREE, TREE_SEALED})
PACKS = frozenset({PACK, PACK_SEALED})
