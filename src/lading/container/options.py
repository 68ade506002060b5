"""What a container is asked to be, in the Engine API's own words.

The shapes decode a request's body as it is and encode back what ``inspect`` shows; what
they mean is worked out elsewhere.  Field names in JSON are Docker's
(Engine API, ``ContainerConfig`` and ``HostConfig``).
"""

from __future__ import annotations

from typing import Any

import msgspec

_ODD = {
    "uts_mode": "UTSMode",
    "container_id_file": "ContainerIDFile",
    "ip_address": "IPAddress",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "endpoint_id": "EndpointID",
    "network_id": "NetworkID",
    "host_ip": "HostIp",
}


def docker_name(field: str) -> str:
    """The API's name for a field: ``nano_cpus`` is ``NanoCpus``."""
    return _ODD.get(field) or "".join(word.capitalize() for word in field.split("_"))


class Shape(msgspec.Struct, frozen=True, rename=docker_name):
    """An object of the Engine API."""


class Healthcheck(Shape, frozen=True, omit_defaults=True):
    """How a container's health is asked for; times in nanoseconds."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(Shape, frozen=True):
    """What runs in the container: the part of the options that an image has too."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Any] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | str | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class RestartPolicy(Shape, frozen=True):
    """When the engine starts the container again."""

    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(Shape, frozen=True):
    """Which log driver, and how."""

    type: str = ""
    config: dict[str, str] | None = None


class PortBinding(Shape, frozen=True):
    """Where a container's port appears on the host."""

    host_ip: str = ""
    host_port: str = ""


class Ulimit(Shape, frozen=True):
    """One of the process limits."""

    name: str
    soft: int = 0
    hard: int = 0


class DeviceMapping(Shape, frozen=True):
    """A device of the host for the container."""

    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = ""


class HostConfig(Shape, frozen=True):
    """How the container is placed on this host: nothing of it is in an image."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    mounts: list[dict[str, Any]] | None = None
    console_size: tuple[int, int] | None = None
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    init: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None


class EndpointSettings(Shape, frozen=True):
    """What is asked of one network."""

    ipam_config: dict[str, Any] | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None


class NetworkingConfig(Shape, frozen=True):
    """The networks that a new container is to join."""

    endpoints_config: dict[str, EndpointSettings | None] | None = None


class CreateRequest(msgspec.Struct, frozen=True):
    """Everything that ``POST /containers/create`` carries."""

    config: Config
    host: HostConfig
    networking: NetworkingConfig = NetworkingConfig()


def words(value: list[str] | str | None) -> list[str] | None:
    """Cmd and Entrypoint may be one string: a command of one word."""
    return [value] if isinstance(value, str) else value
