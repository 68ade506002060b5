"""The ``docker run`` line that makes a container like the one in a bill (pure)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lading.backup.bill import Bill
from lading.container.options import Config, HostConfig
from lading.volume.values import MountPoint

_TEXTS = {  # of HostConfig
    "ipc_mode": "--ipc",
    "pid_mode": "--pid",
    "uts_mode": "--uts",
    "userns_mode": "--userns",
    "cgroup_parent": "--cgroup-parent",
    "cpuset_cpus": "--cpuset-cpus",
    "cpuset_mems": "--cpuset-mems",
}
_NUMBERS = {
    "memory": "--memory",
    "memory_reservation": "--memory-reservation",
    "memory_swap": "--memory-swap",
    "cpu_shares": "--cpu-shares",
    "cpu_period": "--cpu-period",
    "cpu_quota": "--cpu-quota",
    "pids_limit": "--pids-limit",
    "blkio_weight": "--blkio-weight",
    "oom_score_adj": "--oom-score-adj",
    "shm_size": "--shm-size",
}
_LISTS = {
    "cap_add": "--cap-add",
    "cap_drop": "--cap-drop",
    "dns": "--dns",
    "dns_options": "--dns-option",
    "dns_search": "--dns-search",
    "extra_hosts": "--add-host",
    "group_add": "--group-add",
    "security_opt": "--security-opt",
    "device_cgroup_rules": "--device-cgroup-rule",
}
_SWITCHES = {
    "privileged": "--privileged",
    "readonly_rootfs": "--read-only",
    "publish_all_ports": "--publish-all",
    "auto_remove": "--rm",
    "init": "--init",
    "oom_kill_disable": "--oom-kill-disable",
}
_USUAL = {"ipc_mode": "private", "shm_size": 64 * 1024 * 1024}


def run_line(bill: Bill, image: str | None = None) -> str:
    """One line for a shell; *image* stands in for the image's own name."""
    cargo = bill.container
    words = ["docker", "run", "--detach", "--name", cargo.name]
    words += [*_config(cargo.config, cargo.id), *_host(cargo.host)]
    for point in cargo.mounts:
        words += _mount(point)
    for name, settings in (cargo.networking.endpoints_config or {}).items():
        address = settings.ipam_config.ipv4_address if settings.ipam_config else ""
        if name == cargo.host.network_mode and address:
            words += ["--ip", address]
    words.append(image or bill.image.reference or bill.image.id)
    entrypoint = list(cargo.config.entrypoint or ())
    words += [*entrypoint[1:], *(cargo.config.cmd or ())]
    return shlex.join(words)


def _config(config: Config, container_id: str) -> Iterator[str]:
    if config.hostname and not container_id.startswith(config.hostname):
        yield from ("--hostname", config.hostname)
    for flag, value in (
        ("--domainname", config.domainname),
        ("--user", config.user),
        ("--workdir", config.working_dir),
        ("--stop-signal", config.stop_signal),
        ("--mac-address", config.mac_address),
        ("--entrypoint", next(iter(config.entrypoint or ()), "")),
    ):
        if value:
            yield from (flag, value)
    for variable in config.env or ():
        yield from ("--env", variable)
    for name, value in (config.labels or {}).items():
        yield from ("--label", f"{name}={value}")
    if config.stop_timeout is not None:
        yield from ("--stop-timeout", str(config.stop_timeout))
    yield from (["--tty"] if config.tty else [])
    yield from (["--interactive"] if config.open_stdin else [])


def _host(host: HostConfig) -> Iterator[str]:
    if host.network_mode not in ("", "default", "bridge"):
        yield from ("--network", host.network_mode)
    for table in (_TEXTS, _NUMBERS):
        for field, flag in table.items():
            value = getattr(host, field)
            if value and value != _USUAL.get(field):
                yield from (flag, str(value))
    if host.nano_cpus:
        yield from ("--cpus", str(host.nano_cpus / 1e9))
    for field, flag in _LISTS.items():
        for value in getattr(host, field) or ():
            yield from (flag, value)
    for field, flag in _SWITCHES.items():
        if getattr(host, field):
            yield flag
    yield from _several(host)


def _several(host: HostConfig) -> Iterator[str]:
    for port, bindings in (host.port_bindings or {}).items():
        for binding in bindings or ():
            where = f"{binding.host_ip}:" if binding.host_ip else ""
            yield from ("--publish", f"{where}{binding.host_port}:{port}")
    for device in host.devices or ():
        parts = (device.path_on_host, device.path_in_container, device.cgroup_permissions)
        yield from ("--device", ":".join(filter(None, parts)))
    for limit in host.ulimits or ():
        yield from ("--ulimit", f"{limit.name}={limit.soft}:{limit.hard}")
    for name, value in (host.sysctls or {}).items():
        yield from ("--sysctl", f"{name}={value}")
    for where, options in (host.tmpfs or {}).items():
        yield from ("--tmpfs", f"{where}:{options}" if options else where)
    policy = host.restart_policy
    if policy.name not in ("", "no"):
        most = f":{policy.maximum_retry_count}" if policy.maximum_retry_count else ""
        yield from ("--restart", policy.name + most)


def _mount(point: MountPoint) -> list[str]:
    if point.kind == "tmpfs":
        return []
    source = point.name if point.kind == "volume" else point.source
    return ["--volume", f"{source}:{point.destination}{':ro' if point.read_only else ''}"]
