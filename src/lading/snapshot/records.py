"""The small durable file beside a snapshot that says what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lading.linux.files import fsync_directory, write_durably
from lading.oci.digest import Digest
from lading.snapshot.protocol import SnapshotExists, SnapshotNotFound

NAME = "snapshot.json"


class SnapshotRecord(msgspec.Struct, frozen=True):
    """What a snapshot was made of, and by which driver."""

    driver: str
    layers: list[str]  # diff IDs, bottom first
    writable: bool
    copied_at: int = 0  # of a copy, nanoseconds: what did not change since is the layers' own

    @property
    def diff_ids(self) -> list[Digest]:
        return [Digest.parse(layer) for layer in self.layers]


def read(folder: Path, key: str) -> SnapshotRecord:
    """The record of the snapshot *key* below *folder*; SnapshotNotFound."""
    try:
        content = (folder / key / NAME).read_bytes()
        return msgspec.json.decode(content, type=SnapshotRecord)
    except (OSError, msgspec.MsgspecError):
        raise SnapshotNotFound(key) from None


def write(folder: Path, key: str, record: SnapshotRecord) -> None:
    """Keep the record, and with it all that was made below *folder*/*key* before."""
    write_durably(folder / key / NAME, msgspec.json.encode(record))
    fsync_directory(folder)


def check_free(folder: Path, key: str) -> None:
    """SnapshotExists where *key* is taken."""
    if (folder / key / NAME).exists():
        raise SnapshotExists(key)


def new(driver: str, layers: Sequence[Digest], *, writable: bool, at: int = 0) -> SnapshotRecord:
    return SnapshotRecord(driver, [str(layer) for layer in layers], writable, at)
