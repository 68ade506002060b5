"""A container as it is remembered: frozen, and replaced whole when something changes."""

from __future__ import annotations

from typing import Any

import msgspec

from lading.container.health import Health
from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.container.states import State
from lading.linux.process import ProcessRef
from lading.volume.values import MountPoint


class StateRecord(msgspec.Struct, frozen=True):
    """What the container is doing, or did last; times in nanoseconds since 1970, 0 for never."""

    status: State = State.CREATED
    process: ProcessRef | None = None
    monitor: ProcessRef | None = None
    boot_id: str = ""  # the boot that *process* and *monitor* belong to
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0
    health: Health | None = None  # None: nobody looks after it
    stopped_by_user: bool = False  # by stop or kill: a restart policy leaves it alone then


class Container(msgspec.Struct, frozen=True):
    """Everything about one container; *config* has the image's settings merged in."""

    id: str  # 64 hex digits
    name: str  # without a slash
    created: int  # nanoseconds since 1970
    image_id: str  # sha256:…; `config.image` is what the user wrote
    config: Config
    host: HostConfig
    networking: NetworkingConfig
    layers: list[str]  # diff IDs, bottom first
    driver: str  # the snapshotter that made its writable layer
    mounts: list[MountPoint]  # anonymous volumes have their names here
    state: StateRecord = StateRecord()
    platform: str = "linux"

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def argv(self) -> list[str]:
        """The command with its arguments: the entry point's words, then Cmd's."""
        return [*(self.config.entrypoint or []), *(self.config.cmd or [])]

    @property
    def running(self) -> bool:
        """Whether it has a process, paused or not."""
        return self.state.status.has_process

    @property
    def pid(self) -> int:
        """Its first process on this host; 0 when there is none."""
        return self.state.process.pid if self.running and self.state.process else 0

    @property
    def stop_signal(self) -> str:
        return self.config.stop_signal or "SIGTERM"

    @property
    def stop_timeout(self) -> int:
        """Seconds between the stop signal and SIGKILL; below zero: for ever."""
        return 10 if self.config.stop_timeout is None else self.config.stop_timeout

    def with_state(self, **changes: Any) -> Container:
        """The same container with some of its state replaced."""
        state = msgspec.structs.replace(self.state, **changes)
        return msgspec.structs.replace(self, state=state)
