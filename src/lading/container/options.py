"""What a container is asked to be: Docker's own structures, as frozen values (pure).

Field names in JSON are those of the Engine API (`ContainerConfig`, `HostConfig`,
`NetworkingConfig`).  As in Go, null and absent mean the same, a list or a map that was not
given is None, and nothing else is: strings are empty, numbers zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from lading.container.spelling import spellings
from lading.errors import Invalid

_IRREGULAR = {
    "container_id_file": "ContainerIDFile",
    "uts_mode": "UTSMode",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "kernel_memory_tcp": "KernelMemoryTCP",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "device_ids": "DeviceIDs",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "link_local_ips": "LinkLocalIPs",
    "network_id": "NetworkID",
}
# Maps from names that the user chose: a null there is a value, not a field left out.
_MAPS: Mapping[str, Any] = {
    "Volumes": {},
    "ExposedPorts": {},
    "PortBindings": [],
    "EndpointsConfig": {},
    "Labels": "",
    "Sysctls": "",
    "Tmpfs": "",
    "StorageOpt": "",
    "Annotations": "",
    "DriverOpts": "",
    "Options": "",
}
_LISTS_OR_STRINGS = frozenset({"Cmd", "Entrypoint", "Shell"})

Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Strings = list[str] | None
Map = dict[str, str] | None
Set = dict[str, dict[str, Any]] | None  # Go's map[string]struct{}
T = TypeVar("T")


class InvalidOptions(Invalid):
    """Raised for a body that has not the shape Docker's structures have."""


def _json_name(name: str) -> str:
    return _IRREGULAR.get(name) or "".join(part.capitalize() for part in name.split("_"))


class _Options(msgspec.Struct, frozen=True, kw_only=True, rename=_json_name):
    pass


class Healthcheck(_Options, frozen=True):
    """Times are nanoseconds; zero means the default."""

    test: Strings = None
    interval: Int = 0
    timeout: Int = 0
    start_period: Int = 0
    start_interval: Int = 0
    retries: Int = 0


class Config(_Options, frozen=True):
    """What a container is, wherever it runs: ``ContainerConfig``."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: Set = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: Strings = None
    cmd: Strings = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: Set = None
    working_dir: str = ""
    entrypoint: Strings = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: Strings = None
    labels: Map = None
    stop_signal: str = ""
    stop_timeout: Int | None = None
    shell: Strings = None


class PortBinding(_Options, frozen=True):
    """Where one port is published; empty strings leave the choice to the engine."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(_Options, frozen=True):
    """``no``, ``always``, ``unless-stopped`` or ``on-failure``; ``""`` means no."""

    name: str = ""
    maximum_retry_count: Int = 0


class LogConfig(_Options, frozen=True):
    """The log driver, and its options."""

    type: str = ""
    config: Map = None


class Device(_Options, frozen=True):
    """A device of the host, shown to the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(_Options, frozen=True):
    """A wish for devices that a driver would have to find (``--gpus``)."""

    driver: str = ""
    count: Int = 0
    device_ids: Strings = None
    capabilities: list[list[str]] | None = None
    options: Map = None


class Ulimit(_Options, frozen=True):
    """A resource limit, by its name in lower case without ``RLIMIT_``."""

    name: str = ""
    soft: Int = 0
    hard: Int = 0


class WeightDevice(_Options, frozen=True):
    """A block device's share of I/O."""

    path: str = ""
    weight: Int = 0


class ThrottleDevice(_Options, frozen=True):
    """A block device's most operations, or bytes, a second."""

    path: str = ""
    rate: Int = 0


class Resources(_Options, frozen=True):
    """Limits that can be changed while the container runs; zero means no limit."""

    cpu_shares: Int = 0
    memory: Int = 0
    nano_cpus: Int = 0
    cgroup_parent: str = ""
    blkio_weight: Int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: Int = 0
    cpu_quota: Int = 0
    cpu_realtime_period: Int = 0
    cpu_realtime_runtime: Int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[Device] | None = None
    device_cgroup_rules: Strings = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: Int = 0
    kernel_memory_tcp: Int = 0
    memory_reservation: Int = 0
    memory_swap: Int = 0
    memory_swappiness: Int | None = None  # -1, from older clients, also means not set
    oom_kill_disable: bool | None = None
    pids_limit: Int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: Int = 0
    cpu_percent: Int = 0
    io_maximum_iops: Int = 0
    io_maximum_bandwidth: Int = 0


class HostConfig(Resources, frozen=True):
    """What a container is on this host."""

    binds: Strings = None
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding]] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: Strings = None
    console_size: list[Int] | None = None  # rows, columns
    annotations: Map = None
    cap_add: Strings = None
    cap_drop: Strings = None
    cgroupns_mode: str = ""
    dns: Strings = None
    dns_options: Strings = None
    dns_search: Strings = None
    extra_hosts: Strings = None
    group_add: Strings = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: Strings = None
    oom_score_adj: Int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: Strings = None
    storage_opt: Map = None
    tmpfs: Map = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: Int = 0
    sysctls: Map = None
    runtime: str = ""
    isolation: str = ""
    mounts: list[dict[str, Any]] | None = None  # as `lading.volume.points.from_mount` reads them
    masked_paths: Strings = None
    readonly_paths: Strings = None
    init: bool | None = None


class EndpointAddress(_Options, frozen=True):
    """Addresses asked for on one network."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: Strings = None


class EndpointSettings(_Options, frozen=True):
    """How the container is to be on one network."""

    ipam_config: EndpointAddress | None = None
    links: Strings = None
    aliases: Strings = None
    mac_address: str = ""
    driver_opts: Map = None
    gw_priority: Int = 0
    network_id: str = ""  # what the name stood for, when it was asked for


class NetworkingConfig(_Options, frozen=True):
    """The networks to be on, by name."""

    endpoints_config: dict[str, EndpointSettings] | None = None


class CreateRequest(Config, frozen=True):
    """The body of ``POST /containers/create``: a `Config`, and what this host adds."""

    host_config: HostConfig = HostConfig()
    networking_config: NetworkingConfig = NetworkingConfig()

    @property
    def config(self) -> Config:
        """The part that is the same on every host."""
        same = {name: getattr(self, name) for name in Config.__struct_fields__}
        return Config(**{**same, "mac_address": self.mac_address or self._mac_of_endpoint()})

    def _mac_of_endpoint(self) -> str:
        """Since version 1.44 of the API a link's address is asked for with its network."""
        endpoints = list((self.networking_config.endpoints_config or {}).values())
        return endpoints[0].mac_address if len(endpoints) == 1 else ""


class UpdateRequest(Resources, frozen=True):
    """The body of ``POST /containers/{id}/update``."""

    restart_policy: RestartPolicy | None = None


class ExecConfig(_Options, frozen=True):
    """The body of ``POST /containers/{id}/exec``."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[Int] | None = None  # rows, columns
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: Strings = None
    working_dir: str = ""
    cmd: Strings = None


class ExecStart(_Options, frozen=True):
    """The body of ``POST /exec/{id}/start``."""

    detach: bool = False
    tty: bool = False
    console_size: list[Int] | None = None


def decode(content: bytes, kind: type[T]) -> T:
    """*content*, JSON from a client, as one of the structures above; InvalidOptions."""
    try:
        known = spellings(kind)  # type: ignore[arg-type]  # a type is hashable, whatever mypy says
        return msgspec.convert(_without_nulls(msgspec.json.decode(content), known), kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidOptions(f"invalid JSON: {error}") from None
    except RecursionError:
        raise InvalidOptions("invalid JSON: nested too deeply") from None


def _without_nulls(value: Any, known: Mapping[str, str], null: Any = None) -> Any:
    """Leave out what is null, except in maps, where Go makes it the type's zero (*null*).

    Fields get the spelling by which they are *known*; a map's keys stay as they are.
    """
    if isinstance(value, list):
        return [_without_nulls(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, each in value.items():
        key = known.get(name.lower(), name) if null is None else name
        if (each is None and null is None) or (key != name and key in value):
            continue
        each = null if each is None else _without_nulls(each, known, _MAPS.get(key))
        is_word = null is None and key in _LISTS_OR_STRINGS and isinstance(each, str)
        kept[key] = [each] if is_word else each
    return kept
