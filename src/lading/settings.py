"""What the user decided about this engine, as one frozen value built once by the command line.

Everything that must differ between two engines on one machine (bridge, table,
cgroups) derives from `Settings.instance`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/var/lib/lading")
DEFAULT_RUN_ROOT = Path("/run/lading")
DEFAULT_HOST = "unix:///run/lading/lading.sock"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where an engine keeps its things, and which parts it uses."""

    root: Path = DEFAULT_ROOT
    run_root: Path = DEFAULT_RUN_ROOT
    host: str = DEFAULT_HOST
    snapshotter: str | None = None  # None: the best that this host can do
    runtime: str | None = None  # None: crun or runc, whichever works here
    subnet: str | None = None  # of the default bridge; None: a free one
    log_max_bytes: int = 16 * 1024 * 1024  # a container's log is rotated past this
    log_max_files: int = 3
    insecure_registries: tuple[str, ...] = ()  # beside those that Docker's files name
    registry_mirrors: tuple[str, ...] = ()  # of docker.io, likewise
    debug: bool = False

    @property
    def instance(self) -> str:
        """Eight hex digits that are this root's alone on this machine."""
        return hashlib.sha256(os.path.realpath(self.root).encode()).hexdigest()[:8]

    @property
    def socket(self) -> Path:
        """The unix socket's path, from `host` (``unix://PATH``)."""
        return Path(self.host.removeprefix("unix://"))

    @property
    def state_db(self) -> Path:
        return self.root / "state.db"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def containers(self) -> Path:
        return self.root / "containers"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def trash(self) -> Path:
        return self.root / "trash"
