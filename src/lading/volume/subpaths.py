"""Show a part of a volume at a path of its own, which nobody in a container can swap.

A path into a volume means whatever its containers make of it: one that was checked may be a
link when the runtime mounts it.  So the part is opened once, beneath the volume, and what
was opened is mounted where only the engine writes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from lading.errors import NotFound
from lading.linux import mounts
from lading.linux.paths import open_beneath

_FOLDER = "subpaths"


class SubpathNotFound(NotFound):
    """Raised for a part that a volume has not got, or that a link leads out of it for."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot access path {path}: {error.strerror}")


def show(home: Path, directory: Path, subpath: str) -> Path:
    """Where *subpath* of *directory*, the files of the volume at *home*, is mounted now."""
    found = _opened(directory, subpath)
    try:
        place = _place(home, subpath, is_directory=stat.S_ISDIR(os.fstat(found).st_mode))
        mounts.bind(Path(f"/proc/self/fd/{found}"), place, recursive=True)
    finally:
        os.close(found)
    return place


def hide(home: Path) -> None:
    """Unmount all parts of a volume; containers that run keep what they have.  Idempotent."""
    folder = home / _FOLDER
    if not folder.is_dir():
        return
    mounts.unmount_below(folder)
    for place in folder.iterdir():
        place.rmdir() if place.is_dir() else place.unlink()
    folder.rmdir()


def _opened(directory: Path, subpath: str) -> int:
    try:
        top = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return open_beneath(top, os.fsencode(subpath), os.O_PATH)
        finally:
            os.close(top)
    except OSError as error:
        raise SubpathNotFound(directory / subpath, error) from None


def _place(home: Path, subpath: str, *, is_directory: bool) -> Path:
    kind = "d" if is_directory else "f"
    place = home / _FOLDER / (hashlib.sha256(os.fsencode(subpath)).hexdigest()[:32] + kind)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    if is_directory:
        place.mkdir(mode=0o700, exist_ok=True)
    else:
        place.touch(mode=0o600)
    return place
