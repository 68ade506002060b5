"""What this engine is and runs on, in the shapes of ``GET /info`` and ``GET /version``."""

from __future__ import annotations

import os
import platform
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lading import __version__
from lading.container.record import Container
from lading.container.states import State
from lading.image import times
from lading.linux.cgroups import UNIFIED, Hierarchies, Layout
from lading.runtime import inits, security
from lading.runtime.inits import NoInit
from lading.runtime.oci import Runtime
from lading.settings import Settings
from lading.store.database import Database
from lading.store.records import Records

Json = dict[str, Any]
_IDENTITY = "engine"
_PLUGINS: Mapping[str, Any] = {
    "Volume": ["local"],
    "Network": ["bridge", "host", "null"],
    "Authorization": None,
    "Log": ["json-file", "local", "none"],
}
_NO_SWARM: Mapping[str, Any] = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


@dataclass(frozen=True, slots=True)
class Storage:
    """The snapshotter: its name, why it was chosen, and where it keeps layers."""

    driver: str
    reason: str


class System:
    """Describe the engine."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        runtime: Runtime,
        storage: Storage,
        *,
        containers: Callable[[], Sequence[Container]],
        count_images: Callable[[], int],
    ) -> None:
        self._settings, self._runtime, self._storage = settings, runtime, storage
        self._containers, self._count_images = containers, count_images
        self._id = _identity(database)

    def version(self) -> Json:
        """`SystemVersion` without the API's own versions."""
        shown = {
            "Version": __version__,
            "GitCommit": "",
            "GoVersion": f"python{platform.python_version()}",
            "Os": "linux",
            "Arch": _architecture(),
            "KernelVersion": platform.release(),
            "BuildTime": "",
        }
        details = {name: shown[name] for name in ("Arch", "GitCommit", "GoVersion", "Os")}
        details["KernelVersion"] = shown["KernelVersion"]
        runtime = {"Name": self._runtime.name, "Version": self._runtime.version, "Details": {}}
        engine = {"Name": "Engine", "Version": __version__, "Details": details}
        return {"Platform": {"Name": "lading"}, "Components": [engine, runtime], **shown}

    def describe(self) -> Json:
        """`SystemInfo`."""
        return {
            "ID": self._id,
            **self._counts(),
            "Images": self._count_images(),
            "Driver": self._storage.driver,
            "DriverStatus": [
                ["Chosen because", self._storage.reason],
                ["Layers", str(self._settings.layers)],
                ["Instance", self._settings.instance],
            ],
            "Plugins": dict(_PLUGINS),
            **_host(),
            **_limits(self._runtime.hierarchies),
            **self._engine(),
            "SecurityOptions": _security(self._runtime.hierarchies),
            "Swarm": dict(_NO_SWARM),
            "Warnings": _warnings(self._runtime.hierarchies),
        }

    def _counts(self) -> Json:
        states = Counter(container.state.status for container in self._containers())
        return {
            "Containers": states.total(),
            "ContainersRunning": states[State.RUNNING] + states[State.RESTARTING],
            "ContainersPaused": states[State.PAUSED],
            "ContainersStopped": states[State.CREATED] + states[State.EXITED],
        }

    def _engine(self) -> Json:
        runtime = self._runtime
        commit = {"ID": runtime.version, "Expected": runtime.version}
        return {
            "Debug": self._settings.debug,
            "NFd": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "NGoroutines": len(sys._current_frames()),
            "SystemTime": times.rfc3339(time.time_ns()),
            "LoggingDriver": "json-file",
            "DockerRootDir": str(self._settings.root),
            "ServerVersion": __version__,
            "Runtimes": {runtime.name: {"path": runtime.path}},
            "DefaultRuntime": runtime.name,
            "RuncCommit": commit,
            "ContainerdCommit": {"ID": "", "Expected": ""},
            "InitCommit": {"ID": "", "Expected": ""},
            "InitBinary": _init(),
            "LiveRestoreEnabled": True,
            "ExperimentalBuild": False,
            "Labels": [],
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {
                "AllowNondistributableArtifactsCIDRs": [],
                "AllowNondistributableArtifactsHostnames": [],
                "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
                "IndexConfigs": {},
                "Mirrors": [],
            },
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "FirewallBackend": {"Driver": "nftables", "Info": []},
            "CDISpecDirs": [],
            "ProductLicense": "",
            "GenericResources": None,
            "Isolation": "",
        }


def _identity(database: Database) -> str:
    """An ID that stays with the root."""
    records: Records[dict[str, str]] = Records(database, _IDENTITY, dict[str, str])
    known = records.get(_IDENTITY)
    if known is None:
        known = {"id": str(uuid.uuid4())}
        records.put(_IDENTITY, known)
    return known["id"]


def _host() -> Json:
    release = _os_release()
    return {
        "Name": os.uname().nodename,
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "IPv4Forwarding": _is_on("/proc/sys/net/ipv4/ip_forward"),
        "BridgeNfIptables": _is_on("/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "BridgeNfIp6tables": _is_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
    }


def _limits(hierarchies: Hierarchies) -> Json:
    unified = hierarchies.layout is Layout.UNIFIED
    has = _controllers(hierarchies).__contains__
    return {
        "MemoryLimit": has("memory"),
        "SwapLimit": hierarchies.has_swap_accounting(),
        "CpuCfsPeriod": has("cpu"),
        "CpuCfsQuota": has("cpu"),
        "CPUShares": has("cpu"),
        "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"),
        "OomKillDisable": has("memory") and not unified,
        "KernelMemoryTCP": False,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if unified else "1",
    }


def _security(hierarchies: Hierarchies) -> list[str]:
    unified = hierarchies.layout is Layout.UNIFIED
    return [
        *(["name=apparmor"] if security.has_apparmor() else []),
        "name=seccomp,profile=builtin",
        *(["name=cgroupns"] if unified else []),
    ]


def _warnings(hierarchies: Hierarchies) -> list[str] | None:
    warnings = [
        f"WARNING: No {what} support"
        for what, controller in (("memory limit", "memory"), ("cpuset", "cpuset"))
        if controller not in _controllers(hierarchies)
    ]
    if not hierarchies.has_swap_accounting():
        warnings.append("WARNING: No swap limit support")
    return warnings or None


def _controllers(hierarchies: Hierarchies) -> set[str]:
    if hierarchies.layout is not Layout.UNIFIED:
        return set(hierarchies.roots)
    return set((hierarchies.roots[UNIFIED] / "cgroup.controllers").read_text().split())


def _init() -> str:
    try:
        return Path(inits.find()).name
    except NoInit:
        return ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _architecture() -> str:
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return names.get(platform.machine(), platform.machine())


def _is_on(path: str) -> bool:
    try:
        return Path(path).read_text().strip() == "1"
    except OSError:
        return False
