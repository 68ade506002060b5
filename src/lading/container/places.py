"""Where the parts of a container lie: what lasts below ROOT, what ends with the boot below RUN."""

from __future__ import annotations

from pathlib import Path

from lading.settings import Settings


class Places:
    """Paths by container or exec ID, which are hex digits and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.containers = settings.containers
        self.bundles = settings.run_root / "c"
        self.execs = settings.run_root / "e"
        self.shared_memory = settings.run_root / "shm"

    def make(self) -> None:
        """Make the directories that hold the others."""
        self.containers.mkdir(mode=0o710, parents=True, exist_ok=True)
        for directory in (self.bundles, self.execs, self.shared_memory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def directory(self, container_id: str) -> Path:
        """What is the container's alone: log, hosts, exit code; its root is mounted in it."""
        return self.containers / container_id

    def log(self, container_id: str) -> Path:
        return self.containers / container_id / "log"

    def bundle(self, container_id: str) -> Path:
        """The runtime's and the monitor's directory while the container runs."""
        return self.bundles / container_id

    def exec_bundle(self, exec_id: str) -> Path:
        return self.execs / exec_id

    def shm(self, container_id: str) -> Path:
        """Where shared memory is mounted that other containers may join."""
        return self.shared_memory / container_id
