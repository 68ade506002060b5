"""A container as it is remembered: frozen, and replaced whole when something changes."""

from __future__ import annotations

import msgspec

from lading.container.options import Config, HostConfig
from lading.container.states import State
from lading.linux.process import ProcessRef
from lading.network.values import Sandbox
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
    wanted: bool = False  # whether a restart policy may start it: false after `stop` or `kill`
    sandbox: Sandbox | None = None  # the network's facts while it runs


class Container(msgspec.Struct, frozen=True):
    """Everything about one container; `config` has the image's settings merged in."""

    id: str  # 64 hex digits
    name: str  # without a slash
    created: int  # nanoseconds since 1970
    image_id: str
    config: Config
    host: HostConfig
    argv: list[str]
    layers: list[str]  # diff IDs, bottom first
    driver: str  # the snapshotter that made its writable layer
    mounts: list[MountPoint]
    state: StateRecord = StateRecord()
    platform: str = "linux"

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def running(self) -> bool:
        """Whether it has a process, paused or not."""
        return self.state.status.has_process

    def with_state(self, **changes: object) -> Container:
        """The same container with some of its state replaced."""
        state = msgspec.structs.replace(self.state, **changes)
        return msgspec.structs.replace(self, state=state)
