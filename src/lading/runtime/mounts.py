"""What is mounted in a container, as runtime-spec's `mounts`; nothing is mounted here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One mount in the container; *options* are mount(8)'s words and the propagations."""

    destination: str
    type: str
    source: str
    options: tuple[str, ...] = ()

    @classmethod
    def bind(
        cls,
        source: str,
        destination: str,
        *,
        read_only: bool = False,
        propagation: str = "rprivate",
        recursive: bool = True,
        options: tuple[str, ...] = (),
    ) -> MountPoint:
        """The host's *source* at *destination*; read-only means every mount below it too."""
        bind = "rbind" if recursive else "bind"
        write = (("rro",) if recursive else ("ro",)) if read_only else ("rw",)
        return cls(destination, "bind", source, (bind, *write, propagation, *options))

    @classmethod
    def tmpfs(cls, destination: str, options: Iterable[str] = ()) -> MountPoint:
        """An empty file system in memory; *options* replace or extend Docker's defaults."""
        chosen = tuple(options)
        defaults = [d for d in ("noexec", "nosuid", "nodev") if d[2:] not in chosen]
        rest = tuple(option for option in chosen if option not in defaults)
        return cls(destination, "tmpfs", "tmpfs", (*defaults, *rest))

    def document(self) -> Json:
        return {
            "destination": self.destination,
            "type": self.type,
            "source": self.source,
            "options": list(self.options),
        }


def arranged(
    asked: Iterable[MountPoint],
    *,
    shm_size: int,
    host_ipc: bool,
    host_pid: bool,
    host_network: bool,
    privileged: bool,
) -> list[MountPoint]:
    """Docker's mounts with the *asked* ones: parents first; one asked for replaces a default."""
    own = list(asked)
    taken = {mount.destination for mount in own}
    write = "rw" if privileged else "ro"
    defaults = [
        MountPoint("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
        MountPoint("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        MountPoint("/dev/pts", "devpts", "devpts", _PTS),
        _sys(write, host_network=host_network),
        MountPoint("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", write)),
        *_ipc(shm_size, host=host_ipc),
    ]
    kept = [mount for mount in defaults if mount.destination not in taken]
    # A stable sort: two mounts at one place stay in the order they were asked for.
    return sorted(kept + own, key=lambda mount: mount.destination.rstrip("/").count("/"))


_PTS = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")


def _sys(write: str, *, host_network: bool) -> MountPoint:
    return MountPoint("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", write))


def _ipc(shm_size: int, *, host: bool) -> list[MountPoint]:
    """Message queues are those of the IPC namespace, whosever it is; shared memory is mounted."""
    queues = MountPoint("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev"))
    if host:
        return [queues, MountPoint.bind("/dev/shm", "/dev/shm")]
    if not shm_size:
        return [queues]
    own = ("nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}")
    return [queues, MountPoint("/dev/shm", "tmpfs", "shm", own)]
