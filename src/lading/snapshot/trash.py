"""Deleting in two steps: out of sight by a rename, then away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from secrets import token_hex

from lading.layer.remove import remove_tree

PREFIX = ".trash-"
STAGING = ".staging-"

Later = Callable[[Callable[[], None]], None]


def at_once(job: Callable[[], None]) -> None:
    """Do the *job* now: the `Later` of those who have no threads."""
    job()


def throw_away(paths: Iterable[Path], folder: Path, later: Later = at_once) -> None:
    """Remove files and trees, hidden on return; *folder* is on their file system.  Idempotent.

    The deleting itself is handed to *later*.  After a crash half way what is left lies in
    *folder* under a name that `sweep` knows.
    """
    for path in paths:
        aside = folder / f"{PREFIX}{token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
            later(partial(delete, aside))


def staging(folder: Path) -> Path:
    """A new name in *folder* for work in progress; `sweep` removes what is left there."""
    return folder / f"{STAGING}{token_hex(8)}"


def sweep(folder: Path) -> None:
    """Remove what an earlier process left in *folder*; only while nobody works there."""
    for path in folder.glob(".*"):
        if path.name.startswith((PREFIX, STAGING)):
            delete(path)


def delete(path: Path) -> None:
    """Remove a file or a tree; nothing when it is not there."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            remove_tree(above, os.fsencode(path.name))
    finally:
        os.close(above)
