"""The engine's own directory: made private, swept of what a crash left, and at last removed.

ROOT is bound over itself, privately: what is mounted below it appears nowhere else, and an
engine that comes after this one, in the same mount namespace, finds it all.
"""

from __future__ import annotations

import os
from pathlib import Path

from lading.linux import mounts
from lading.settings import Settings
from lading.snapshot.trash import delete

_KEPT = "daemon.lock"  # the daemon's own claim on the root


def prepare(settings: Settings) -> None:
    """Make the root and bind it, unless that is done; nothing unfinished is left in it."""
    settings.root.mkdir(mode=0o710, parents=True, exist_ok=True)
    settings.run_root.mkdir(mode=0o710, parents=True, exist_ok=True)
    root = _real(settings.root)
    if not mounts.is_mount(root):
        mounts.bind(root, root)
    mounts.make_private(root)
    for folder in (settings.staging, settings.trash):
        _empty(folder)


def remove(settings: Settings) -> None:
    """Remove all that is in the root and in RUN; sockets and files of others stay.

    Nothing runs any more, and nothing is being written.
    """
    for directory in (settings.root, settings.run_root):
        mounts.unmount_below(_real(directory))
    for path in settings.root.iterdir():
        if path.name != _KEPT:
            delete(path)
    for path in settings.run_root.iterdir():
        if path.is_dir():
            delete(path)


def _empty(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.iterdir():
        delete(path)


def _real(path: Path) -> Path:
    """As the kernel's mount table names it."""
    return Path(os.path.realpath(path))
