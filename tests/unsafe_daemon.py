"""The daemon with nothing made durable: what a power cut then takes shows that others lose nothing.

Usage: unsafe_daemon.py daemon OPTIONS...
"""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import Any

from lading.__main__ import main
from lading.linux import files
from lading.snapshot import overlay


class _Unsafe(sqlite3.Connection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", "synchronous=OFF"), *parameters)


def _connect(path: Any, **options: Any) -> sqlite3.Connection:
    return _Unsafe(path, **options)


if __name__ == "__main__":
    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # that is the point
    files.sync_tree = overlay.sync_tree = lambda path: None
    files.write_back = lambda *range: None
    sqlite3.connect = _connect  # type: ignore[assignment]
    sys.exit(main())
