"""Backups of containers, whole: capture, store, verify, restore (docs/backup-format.md)."""
