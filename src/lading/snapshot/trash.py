"""Deleting in two steps: out of sight by a rename, then away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

from lading.layer.remove import remove_tree

PREFIX = ".trash-"


def throw_away(paths: Iterable[Path], folder: Path) -> None:
    """Remove files and trees; *folder* is on their file system.  Idempotent.

    After a crash half way what is left lies in *folder* under a name that `sweep` knows.
    """
    gone = []
    for path in paths:
        aside = folder / f"{PREFIX}{token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
            gone.append(aside)
    for aside in gone:
        _delete(aside)


def sweep(folder: Path, *prefixes: str) -> None:
    """Remove what an earlier process left in *folder* under the trash's or these prefixes."""
    for path in folder.glob(".*"):
        if path.name.startswith((PREFIX, *prefixes)):
            _delete(path)


def _delete(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            remove_tree(above, os.fsencode(path.name))
    finally:
        os.close(above)
