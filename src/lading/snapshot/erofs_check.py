"""What a layer's files were when they were kept, and whether they still are.

There are three looks, by what they cost: a glance at sizes, the index's bytes as well,
and every byte.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from lading.linux.files import write_durably
from lading.oci.digest import Digest
from lading.snapshot.erofs_mounts import INDEX, TAR

_RECORD = "layer.json"


class _Record(msgspec.Struct, frozen=True):
    """What the files were when they were acknowledged; sizes in bytes."""

    tar_size: int
    index_size: int
    index_sha256: str
    tar_mtime: int = 0  # nanoseconds since 1970; 0 where it was not noted


def note(home: Path) -> None:
    """Keep what the files in *home* are now, durably."""
    tar, index = (home / TAR).stat(), (home / INDEX).stat()
    record = _Record(tar.st_size, index.st_size, sha256(home / INDEX), tar.st_mtime_ns)
    write_durably(home / _RECORD, msgspec.json.encode(record))


def glance(home: Path) -> str:
    """What sizes tell of damage; empty for none."""
    try:
        kept = _read(home)
        if (home / TAR).stat().st_size != kept.tar_size:
            return "the tar has another size"
        if (home / INDEX).stat().st_size != kept.index_size:
            return "the index has another size"
    except (OSError, msgspec.MsgspecError) as error:
        return str(error)
    return ""


def look(home: Path, layer: Digest) -> str:
    """The same with the index read, and the tar too where it was written to since."""
    damage = glance(home)
    if damage:
        return damage
    try:
        kept = _read(home)
        if sha256(home / INDEX) != kept.index_sha256:
            return "the index has other bytes"
        written = (home / TAR).stat().st_mtime_ns
        if kept.tar_mtime in (0, written):
            return ""
        damage = _read_tar(home, layer)
        if not damage:  # copied with its root, perhaps: not to be read again each time
            os.utime(home / TAR, ns=(kept.tar_mtime, kept.tar_mtime))
    except OSError as error:
        return str(error)
    return damage


def read(home: Path, layer: Digest) -> str:
    """The same with every byte read."""
    damage = look(home, layer)
    try:
        return damage or _read_tar(home, layer)
    except OSError as error:
        return str(error)


def sha256(path: Path) -> str:
    """The digest of a file, as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(home: Path) -> _Record:
    return msgspec.json.decode((home / _RECORD).read_bytes(), type=_Record)


def _read_tar(home: Path, layer: Digest) -> str:
    return "" if sha256(home / TAR) == layer.hex else "the tar has other bytes"
