"""What an image made of a container does not hold: everything but its files and `Config` (pure).

Volumes are counted with their sizes, because what is in them is what people miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from lading.container.options import HostConfig, Resources
from lading.container.placement import LOG_DRIVER, SHM_SIZE
from lading.container.record import Container
from lading.errors import Conflict
from lading.volume.values import MountPoint

VolumeSize = Callable[[str], int | None]
"""A volume's bytes by its name; None where it is gone."""

_DEVICES = ("devices", "device_cgroup_rules", "device_requests")
PRIVILEGES = (
    "privileged",
    "cap_add",
    "cap_drop",
    "security_opt",
    "group_add",
    "sysctls",
    "pid_mode",
    "uts_mode",
    "userns_mode",
)
OPTIONS = (
    "readonly_rootfs",
    "init",
    "auto_remove",
    "dns",
    "dns_options",
    "dns_search",
    "extra_hosts",
    "links",
    "oom_score_adj",
    "annotations",
    "storage_opt",
    "isolation",
)
_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(HostConfig)}
_DEFAULTS = HostConfig()
_DEFAULT_NETWORKS = ("", "default", "bridge")


@dataclass(frozen=True, slots=True)
class NotIncluded:
    """One thing that stays behind; *destination* is where or what it was, *size* is in bytes."""

    kind: str
    name: str
    destination: str = ""
    size: int | None = None

    def __str__(self) -> str:
        where = f" ({self.destination})" if self.destination else ""
        return f"{self.kind} {self.name}{where}"


class WouldNotHold(Conflict):
    """Raised where an image was to hold all of a container, and could not."""

    def __init__(self, container: Container, omitted: tuple[NotIncluded, ...]) -> None:
        told = ", ".join(str(each) for each in omitted)
        super().__init__(
            f"cannot commit container {container.name} strictly: "
            f"the image would not contain its {told}"
        )
        self.omitted = omitted


def of(container: Container, volume_size: VolumeSize) -> tuple[NotIncluded, ...]:
    """All that an image of *container* lacks, the weightiest first."""
    host = container.host
    return (
        *(_mount(point, volume_size) for point in container.mounts),
        *_ports(container),
        *_networks(container),
        *_limits(host),
        *_restart(host),
        *(
            NotIncluded("device", *_named(host, field))
            for field in _DEVICES
            if _is_set(host, field)
        ),
        *_privileges(host),
        *_others(container),
    )


def _mount(point: MountPoint, volume_size: VolumeSize) -> NotIncluded:
    if point.kind == "volume" and point.name:
        size = volume_size(point.name)
        return NotIncluded("volume", point.name, point.destination, size)
    return NotIncluded(point.kind, point.source or point.kind, point.destination)


def _ports(container: Container) -> Iterator[NotIncluded]:
    for port, bindings in sorted((container.host.port_bindings or {}).items()):
        for binding in bindings or ():
            place = f"{binding.host_ip or '0.0.0.0'}:{binding.host_port or 'any'}"
            yield NotIncluded("port", port, place)
    if container.host.publish_all_ports:
        yield NotIncluded("port", "all exposed ports", "0.0.0.0:any")


def _networks(container: Container) -> Iterator[NotIncluded]:
    mode = "none" if container.config.network_disabled else container.host.network_mode
    names = set(container.networking.endpoints_config or ()) | {mode}
    for name in sorted(names.difference(_DEFAULT_NETWORKS)):
        yield NotIncluded("network", name)
    if container.config.mac_address:
        yield NotIncluded("network", "MacAddress", container.config.mac_address)


def _limits(host: HostConfig) -> Iterator[NotIncluded]:
    for field in Resources.__struct_fields__:
        if field not in _DEVICES and _is_set(host, field):
            yield NotIncluded("limit", *_named(host, field))


def _restart(host: HostConfig) -> Iterator[NotIncluded]:
    policy = host.restart_policy
    if policy.name not in ("", "no"):
        most = f":{policy.maximum_retry_count}" if policy.maximum_retry_count else ""
        yield NotIncluded("restart policy", policy.name + most)


def _privileges(host: HostConfig) -> Iterator[NotIncluded]:
    for field in PRIVILEGES:
        if _is_set(host, field):
            yield NotIncluded("privilege", *_named(host, field))
    if host.ipc_mode not in ("", "private"):
        yield NotIncluded("privilege", "IpcMode", host.ipc_mode)


def _others(container: Container) -> Iterator[NotIncluded]:
    host, config = container.host, container.config
    for field in OPTIONS:
        if _is_set(host, field):
            yield NotIncluded("option", *_named(host, field))
    if host.shm_size not in (0, SHM_SIZE):
        yield NotIncluded("option", "ShmSize", str(host.shm_size))
    if host.log_config.type not in ("", LOG_DRIVER) or host.log_config.config:
        yield NotIncluded("option", "LogConfig", _shown(host.log_config))
    if config.hostname and not container.id.startswith(config.hostname):
        yield NotIncluded("option", "Hostname", config.hostname)
    if config.domainname:
        yield NotIncluded("option", "Domainname", config.domainname)
    for name, wanted in (("Tty", config.tty), ("OpenStdin", config.open_stdin)):
        if wanted:
            yield NotIncluded("option", name, "true")


def _is_set(host: HostConfig, field: str) -> bool:
    value = getattr(host, field)
    return bool(value) and value != getattr(_DEFAULTS, field)


def _named(host: HostConfig, field: str) -> tuple[str, str]:
    return _NAMES[field], _shown(getattr(host, field))


def _shown(value: Any) -> str:
    """A value as a person reads it: JSON, except for single words and lists of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return msgspec.json.encode(value).decode()
