"""What of a container reaches beyond it, and so comes back only where it is allowed by name.

A backup may come from a stranger, who would like to have the host (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lading.backup.bill import CargoContainer
from lading.container.options import HostConfig
from lading.errors import Invalid
from lading.runtime.spec import MASKED_PATHS, READONLY_PATHS

ALL = "all"
KINDS: Mapping[str, str] = {
    "bind": "directories of the host, mounted in the container",
    "cap-add": "added capabilities",
    "device": "devices of the host",
    "host-namespace": "the host's own network, PIDs, IPC or host name",
    "privileged": "a privileged container",
    "security-opt": "weakened confinement",
    "sysctl": "kernel parameters",
}


@dataclass(frozen=True, slots=True)
class Privilege:
    """One thing that must be allowed: by *kind*; *what* it is."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.what} needs --allow {self.kind}"


def check_allowed(allowed: Collection[str]) -> None:
    """Invalid for a kind that does not exist."""
    for kind in allowed:
        if kind not in KINDS and kind != ALL:
            known = ", ".join((*KINDS, ALL))
            raise Invalid(f"nothing to allow is called {kind[:80]!r}: one of {known}")


def wanted(container: CargoContainer) -> list[Privilege]:
    """All that the container needs."""
    return [*_mounts(container), *_host(container.host), *_confinement(container.host)]


def missing(container: CargoContainer, allowed: Collection[str]) -> list[Privilege]:
    """What is not allowed."""
    if ALL in allowed:
        return []
    return [each for each in wanted(container) if each.kind not in allowed]


def _mounts(container: CargoContainer) -> Iterator[Privilege]:
    for point in container.mounts:
        if point.kind == "bind":
            yield Privilege("bind", f"bind {point.source} ({point.destination})")
    for bind in container.host.binds or ():
        if bind.startswith("/") and ":" in bind and not _is_known(container, bind):
            yield Privilege("bind", f"bind {bind}")


def _is_known(container: CargoContainer, bind: str) -> bool:
    source, _, rest = bind.partition(":")
    places = {(p.source.rstrip("/"), p.destination) for p in container.mounts if p.kind == "bind"}
    return (source.rstrip("/"), rest.partition(":")[0].rstrip("/") or "/") in places


def _host(host: HostConfig) -> Iterator[Privilege]:
    if host.privileged:
        yield Privilege("privileged", "--privileged")
    for cap in host.cap_add or ():
        yield Privilege("cap-add", f"--cap-add {cap}")
    for device in host.devices or ():
        yield Privilege("device", f"--device {device.path_on_host}")
    for rule in host.device_cgroup_rules or ():
        yield Privilege("device", f"--device-cgroup-rule {rule}")
    for name, mode in (
        ("network", host.network_mode),
        ("pid", host.pid_mode),
        ("ipc", host.ipc_mode),
        ("uts", host.uts_mode),
        ("userns", host.userns_mode),
    ):
        if mode == "host":
            yield Privilege("host-namespace", f"--{name} host")
    for name, value in (host.sysctls or {}).items():
        yield Privilege("sysctl", f"--sysctl {name}={value}")


def _confinement(host: HostConfig) -> Iterator[Privilege]:
    for option in host.security_opt or ():
        if not option.startswith("no-new-privileges") or option.endswith("false"):
            yield Privilege("security-opt", f"--security-opt {option}")
    if host.privileged:
        return
    for what, paths, usual in (
        ("masked", host.masked_paths, MASKED_PATHS),
        ("read-only", host.readonly_paths, READONLY_PATHS),
    ):
        if not set(usual) <= set(paths or ()):
            yield Privilege("security-opt", f"fewer {what} paths than usual")
