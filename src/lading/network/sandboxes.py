"""The sandboxes of this boot, one small file each, for the engine that comes after this one.

They lie in RUN, not in the database: a sandbox ends with the boot, as RUN does, so that a
start need not wait for a disk.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from lading.network.values import Sandbox

_LOG = logging.getLogger(__name__)
_SUFFIX = ".json"


class Sandboxes:
    """Sandboxes by container ID."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, sandbox: Sandbox) -> None:
        """Keep it: whole or not at all, whenever the engine is killed."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(sandbox.container_id)
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(sandbox))
        unfinished.rename(path)

    def remove(self, container_id: str) -> None:
        """Idempotent."""
        self._path(container_id).unlink(missing_ok=True)

    def all(self) -> list[Sandbox]:
        """Every sandbox kept; what cannot be read is dropped, and its links are then swept."""
        found = [self._read(path) for path in sorted(self._directory.glob(f"*{_SUFFIX}"))]
        return [sandbox for sandbox in found if sandbox is not None]

    def clear(self) -> None:
        """Remove all that is kept, and the directory."""
        for path in self._directory.glob("*"):
            path.unlink(missing_ok=True)
        if self._directory.is_dir():
            self._directory.rmdir()

    def _path(self, container_id: str) -> Path:
        return self._directory / f"{container_id}{_SUFFIX}"

    def _read(self, path: Path) -> Sandbox | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Sandbox)
        except (msgspec.DecodeError, OSError) as error:
            _LOG.warning("dropping an unreadable sandbox, %s: %s", path, error)
            path.unlink(missing_ok=True)
            return None
