"""The runtime's config.json, computed by a pure function from what was decided before.

Everything in a `SpecRequest` is resolved already: users are numbers, paths are absolute,
limits are bytes.  Docker's secure defaults live here; which user, which volumes and which
devices is decided by others.  Names are those of runtime-spec, config.md and config-linux.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lading.linux.cgroups import Layout
from lading.runtime.capabilities import DEFAULT
from lading.runtime.devices import ALLOW_ALL, DEFAULT_RULES, Device, DeviceRule
from lading.runtime.mounts import MountPoint, arranged
from lading.runtime.resources import Resources, linux_resources
from lading.runtime.users import ROOT, User

Json = dict[str, Any]

VERSION = "1.0.2"
INIT_PATH = "/sbin/docker-init"

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/sys/fs/cgroup",  # on v1 runc leaves the directory of the controllers writable
)


class Shared(Enum):
    """A namespace that needs no path."""

    HOST = "host"
    PRIVATE = "private"  # the container's own, also where the default is another


Space = Shared | str | None
"""A namespace: None is a new one, HOST the host's, a path one that exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """Whose view of the system the container has."""

    pid: Space = None
    ipc: Space = None
    uts: Space = None
    network: Space = None
    cgroup: Space = None  # None: private on cgroup v2, the host's otherwise (as Docker does)


@dataclass(frozen=True, slots=True)
class Rlimit:
    """One of setrlimit(2)'s limits; *name* as in ``nofile``."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRequest:
    """A process to run in a container: its first one, or one more (exec)."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = ROOT
    terminal: bool = False
    console_size: tuple[int, int] | None = None  # rows, columns
    capabilities: tuple[str, ...] = DEFAULT
    no_new_privileges: bool = False
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int | None = None  # None: as the monitor has it, 0
    apparmor: str | None = None
    selinux_label: str | None = None
    umask: int = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRequest:
    """A container, all options resolved."""

    process: ProcessRequest
    rootfs: str
    readonly_rootfs: bool = False
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[MountPoint, ...] = ()  # sorted by whoever asks; replace defaults by destination
    shm_size: int = 64 * 1024 * 1024  # bytes; 0: no /dev/shm at all (--ipc none)
    namespaces: Namespaces = field(default_factory=Namespaces)
    cgroup_path: str = ""  # as the runtime wants it, below every hierarchy's root
    cgroup_layout: Layout = Layout.UNIFIED
    resources: Resources = field(default_factory=Resources)
    devices: tuple[Device, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    seccomp: Json | None = None  # the runtime's `linux.seccomp`; None: unconfined
    privileged: bool = False
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    rootfs_propagation: str = ""
    mount_label: str = ""
    init: str | None = None  # the host's path of an init program to run as PID 1
    annotations: Mapping[str, str] = field(default_factory=dict)


def spec(request: SpecRequest) -> Json:
    """The container's config.json."""
    first = process(request.process)
    if request.init:
        first["args"] = [INIT_PATH, "--", *first["args"]]
    document: Json = {
        "ociVersion": VERSION,
        "process": first,
        "root": {"path": request.rootfs, "readonly": request.readonly_rootfs},
        "mounts": [mount.document() for mount in _mounts(request)],
        "linux": _linux(request),
    }
    if request.hostname and request.namespaces.uts is not Shared.HOST:
        document["hostname"] = request.hostname
    if request.annotations:
        document["annotations"] = dict(request.annotations)
    return document


def process(request: ProcessRequest) -> Json:
    """The `process` object: of config.json, and what exec is given."""
    document: Json = {
        "terminal": request.terminal,
        "user": _user(request),
        "args": list(request.argv),
        "env": list(request.env),
        "cwd": request.cwd,
        "capabilities": _capabilities(request),
        "noNewPrivileges": request.no_new_privileges,
        "rlimits": [_rlimit(limit) for limit in request.rlimits],
    }
    if request.terminal and request.console_size:
        rows, columns = request.console_size
        document["consoleSize"] = {"height": rows, "width": columns}
    # Lowering needs a privilege that nested hosts lack, so it is only touched when asked for.
    if request.oom_score_adj is not None:
        document["oomScoreAdj"] = request.oom_score_adj
    if request.apparmor:
        document["apparmorProfile"] = request.apparmor
    if request.selinux_label:
        document["selinuxLabel"] = request.selinux_label
    return document


def _user(request: ProcessRequest) -> Json:
    user = request.user
    groups = [group for group in user.groups if group != user.gid]
    return {
        "uid": user.uid,
        "gid": user.gid,
        # The primary group is named too: `id -G` must be exact (CVE-2022-36109).
        "additionalGids": [user.gid, *groups],
        "umask": request.umask,
    }


def _capabilities(request: ProcessRequest) -> Json:
    """What the process holds; none effective for a user other than root, as execve(2) has it."""
    bounding = list(request.capabilities)
    held = bounding if request.user.uid == 0 else []
    return {
        "bounding": bounding,
        "effective": held,
        "permitted": held,
        "inheritable": [],
        "ambient": [],
    }


def _rlimit(limit: Rlimit) -> Json:
    name = f"RLIMIT_{limit.name.upper()}"
    unlimited = 2**64 - 1
    soft, hard = (unlimited if value < 0 else value for value in (limit.soft, limit.hard))
    return {"type": name, "soft": soft, "hard": hard}


def asked_mounts(request: SpecRequest) -> list[MountPoint]:
    """What is mounted beside Docker's defaults: `roots.prepare` makes the places for these."""
    if request.init is None:
        return list(request.mounts)
    return [*request.mounts, MountPoint.bind(request.init, INIT_PATH, read_only=True)]


def _mounts(request: SpecRequest) -> list[MountPoint]:
    namespaces = request.namespaces
    return arranged(
        asked_mounts(request),
        shm_size=request.shm_size,
        host_ipc=namespaces.ipc is Shared.HOST,
        host_pid=namespaces.pid is Shared.HOST,
        host_network=namespaces.network is Shared.HOST,
        privileged=request.privileged,
    )


def _linux(request: SpecRequest) -> Json:
    open_wide = request.privileged
    document: Json = {
        "namespaces": _namespaces(request),
        "resources": linux_resources(request.resources, _device_rules(request)),
        "devices": [device.document() for device in request.devices],
        "cgroupsPath": request.cgroup_path,
        "maskedPaths": [] if open_wide else list(request.masked_paths),
        "readonlyPaths": [] if open_wide else list(request.readonly_paths),
        "sysctl": _sysctls(request),
    }
    if request.seccomp is not None and not open_wide:
        document["seccomp"] = request.seccomp
    if request.rootfs_propagation:
        document["rootfsPropagation"] = request.rootfs_propagation
    if request.mount_label:
        document["mountLabel"] = request.mount_label
    return document


def _sysctls(request: SpecRequest) -> dict[str, str]:
    own_uts = request.namespaces.uts is not Shared.HOST
    domain = {"kernel.domainname": request.domainname} if request.domainname and own_uts else {}
    return {**domain, **request.sysctls}


def _device_rules(request: SpecRequest) -> list[DeviceRule]:
    if request.privileged:
        return [ALLOW_ALL]
    return [*DEFAULT_RULES, *(d.rule() for d in request.devices), *request.device_rules]


def _namespaces(request: SpecRequest) -> list[Json]:
    asked = request.namespaces
    spaces: dict[str, Space] = {
        "mount": None,
        "pid": asked.pid,
        "ipc": asked.ipc,
        "uts": asked.uts,
        "network": asked.network,
        "cgroup": _cgroup_space(request),
    }
    return [_namespace(kind, space) for kind, space in spaces.items() if space is not Shared.HOST]


def _cgroup_space(request: SpecRequest) -> Space:
    asked = request.namespaces.cgroup
    if asked is None and request.cgroup_layout is not Layout.UNIFIED:
        # Each v1 controller is bound at the container's own subtree instead.
        return Shared.HOST
    return asked


def _namespace(kind: str, space: Space) -> Json:
    return {"type": kind, "path": space} if isinstance(space, str) else {"type": kind}
