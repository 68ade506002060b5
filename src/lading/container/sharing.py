"""Namespaces and memory that containers share: ``--pid`` and ``--ipc container:X``."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from lading.container.joining import Find, NotRunning, joined
from lading.container.places import Places
from lading.container.record import Container
from lading.errors import Conflict
from lading.linux import mounts
from lading.linux.mounts import Mount
from lading.runtime.mounts import MountPoint

_SHM = "/dev/shm"


class NotShareable(Conflict):
    """Raised where a container keeps its IPC to itself, in Docker's words."""

    def __init__(self, container: Container) -> None:
        super().__init__(
            f"cannot join IPC namespace of container {container.id}: "
            "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )


def pid_namespace(container: Container, find: Find) -> str | None:
    """The PID namespace to join, as a path; None for one of its own, or the host's."""
    other = joined(container.host.pid_mode)
    return f"/proc/{_running(find(other), 'PID').pid}/ns/pid" if other else None


def ipc_namespace(container: Container, find: Find) -> str | None:
    """The same for IPC; NotShareable."""
    other = joined(container.host.ipc_mode)
    if other is None:
        return None
    donor = _running(find(other), "IPC")
    if donor.host.ipc_mode not in ("shareable", "host"):
        raise NotShareable(donor)
    return f"/proc/{donor.pid}/ns/ipc"


def memory(
    container: Container, places: Places, taken: Collection[str], undo: ExitStack
) -> list[MountPoint]:
    """The mount of /dev/shm, where it is to be shared; what is made for it goes with *undo*."""
    other = joined(container.host.ipc_mode)
    if _SHM in taken or not (other or container.host.ipc_mode == "shareable"):
        return []
    target = places.shm(other or container.id)
    if not other:
        undo.callback(forget_memory, target)
        _mount(target, container.host.shm_size)
    return [MountPoint.bind(str(target), _SHM, options=("nosuid", "noexec", "nodev"))]


def forget_memory(target: Path) -> None:
    """The container that lent its memory is gone; idempotent."""
    while mounts.is_mount(target):
        mounts.unmount(target, lazy=True)
    if target.is_dir():
        target.rmdir()


def _mount(target: Path, size: int) -> None:
    forget_memory(target)
    target.mkdir(mode=0o700, parents=True)
    options = ("nosuid", "noexec", "nodev", "mode=1777", f"size={size}")
    mounts.perform((Mount("tmpfs", "shm", options),), target)


def _running(container: Container, kind: str) -> Container:
    if not container.running:
        raise NotRunning(kind, container)
    return container
