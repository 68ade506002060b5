"""Refuse what cannot work before anything is made, in Docker's words (pure)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from lading.container import block_io, health, signals
from lading.container.options import Config, HostConfig, Resources, RestartPolicy
from lading.container.placement import LOG_DRIVER, Facts
from lading.errors import Invalid, Unsupported
from lading.network import files, ports
from lading.network.values import NetworkMode, parse_mac
from lading.runtime import capabilities, security

_LEAST_MEMORY = 6 * 1024 * 1024
_POLICIES = ("no", "always", "unless-stopped", "on-failure")
_LOG_DRIVERS = {
    LOG_DRIVER: {"max-size", "max-file"},
    "local": {"max-size", "max-file"},
    "none": set(),
}
_ULIMITS = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)
_SYSCTLS = re.compile(r"kernel\.(shm|msg|sem)[a-z_]*|fs\.mqueue\.[a-z_]+|net\.[A-Za-z0-9_./-]+")
# Neither a way out of the hierarchy, nor a group that an engine keeps for itself.
_GROUP = re.compile(r"/?(?!lading-)(?:(?!\.\.?(?:/|$))[^/\0\n]{1,255}/?)+", re.ASCII)
_RUNTIMES = frozenset({"runc", "crun", "io.containerd.runc.v2"})
_CPUSET = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", re.ASCII)
_SIZE = re.compile(r"(-1|[0-9]+)([bkmg]?)b?", re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class BadOption(Invalid):
    """Raised for a value that an option cannot have."""


class NoLogDriver(Unsupported):
    """Raised for a log driver that lading does not have, in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f'logger: no log driver named "{name}" is registered')


def check(config: Config, host: HostConfig, facts: Facts) -> list[str]:
    """Raise for whatever can be known to fail; answers warnings for what has no effect."""
    _check_config(config)
    _check_host(host)
    check_resources(host, facts)
    check_restart_policy(host.restart_policy, auto_remove=host.auto_remove)
    return _warnings(config, host)


def check_resources(asked: Resources, facts: Facts) -> None:
    """The limits alone, as an update brings them too."""
    _check_memory(asked)
    _check_cpus(asked, facts)
    if asked.blkio_weight and not 10 <= asked.blkio_weight <= 1000:
        raise BadOption("Range of blkio weight is from 10 to 1000")
    for device in asked.blkio_weight_device or ():
        if not 10 <= device.weight <= 1000:
            raise BadOption(f"Range of blkio weight is from 10 to 1000: {device.path[:80]}")
    block_io.limits(asked)
    for limit in asked.ulimits or ():
        if limit.name not in _ULIMITS:
            raise BadOption(f"invalid ulimit type: {limit.name}")
        if 0 <= limit.hard < limit.soft:
            raise BadOption(
                f"ulimit soft limit must be less than or equal to hard limit: "
                f"{limit.soft} > {limit.hard}"
            )


def check_restart_policy(policy: RestartPolicy, *, auto_remove: bool) -> None:
    name, retries = policy.name, policy.maximum_retry_count
    if name not in ("", *_POLICIES):
        raise BadOption(f"invalid restart policy: unknown policy '{name[:80]}'")
    if retries and name != "on-failure":
        raise BadOption(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if retries < 0:
        raise BadOption("invalid restart policy: maximum retry count cannot be negative")
    if auto_remove and name not in ("", "no"):
        raise BadOption("can't set 'AutoRemove' with restart policy")


def log_limits(host: HostConfig, most_bytes: int, most_files: int) -> tuple[int, int]:
    """How large a log may grow, and how many files of it are kept; 0 bytes: for ever."""
    options = host.log_config.config or {}
    size = options.get("max-size")
    if size is not None:
        most_bytes = max(0, _bytes(size))
    files_kept = options.get("max-file")
    if files_kept is not None:
        if not files_kept.isdigit() or not 0 < int(files_kept) < 10_000:
            raise BadOption(f"invalid value for max-file: {files_kept[:80]}")
        most_files = int(files_kept)
    return most_bytes, most_files


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise BadOption(f"invalid size: '{text[:80]}'")
    return int(found[1]) * _FACTORS[found[2].lower()]


def _check_config(config: Config) -> None:
    if config.hostname:
        files.check_hostname(config.hostname)
    if config.domainname:
        files.check_name(config.domainname)
    if config.working_dir and not posixpath.isabs(config.working_dir):
        raise BadOption(
            f"the working directory '{config.working_dir}' is invalid, "
            "it needs to be an absolute path"
        )
    for variable in config.env or ():
        if not variable.partition("=")[0] or "\0" in variable:
            raise BadOption(f"invalid environment variable: {variable[:80]}")
    if config.stop_signal:
        signals.parse(config.stop_signal)
    if config.healthcheck:
        health.verify(config.healthcheck)
    if config.mac_address:
        parse_mac(config.mac_address)
    for port in config.exposed_ports or {}:
        ports.parse_range(port)


def _check_host(host: HostConfig) -> None:
    mode = NetworkMode.parse(host.network_mode)
    ports.requests(_bindings(host))
    for text in host.extra_hosts or ():
        files.ExtraHost.parse(text)
    files.resolver(
        files.Resolver(),
        servers=host.dns or (),
        search=host.dns_search or (),
        options=host.dns_options or (),
    )
    capabilities.chosen(host.cap_add or (), host.cap_drop or (), privileged=host.privileged)
    security.parse(host.security_opt or (), has_apparmor=security.has_apparmor())
    _check_namespaces(host, mode)
    _check_log(host)
    if not -1000 <= host.oom_score_adj <= 1000:
        raise BadOption(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.shm_size < 0:
        raise BadOption("SHM size can not be less than 0")
    if host.cgroup_parent and not _GROUP.fullmatch(host.cgroup_parent):
        raise BadOption(f"invalid cgroup parent: {host.cgroup_parent[:80]}")
    if host.runtime and host.runtime not in _RUNTIMES:
        raise BadOption(f"unknown or invalid runtime name: {host.runtime[:80]}")


def _bindings(host: HostConfig) -> dict[str, list[dict[str, str]]]:
    return {
        port: [{"HostIp": each.host_ip, "HostPort": each.host_port} for each in wishes]
        for port, wishes in (host.port_bindings or {}).items()
    }


def _check_namespaces(host: HostConfig, mode: NetworkMode) -> None:
    for value, allowed, what in (
        (host.pid_mode, ("", "host"), "PID mode"),
        (host.ipc_mode, ("", "host", "private", "shareable", "none"), "IPC mode"),
        (host.uts_mode, ("", "host"), "UTS mode"),
        (host.cgroupns_mode, ("", "host", "private"), "cgroup namespace mode"),
    ):
        if value not in allowed and not (_joins(value) and what in ("PID mode", "IPC mode")):
            raise BadOption(f"invalid {what}: {value[:80]}")
    for name in host.sysctls or {}:
        if not _SYSCTLS.fullmatch(name):
            raise BadOption(f"sysctl '{name[:80]}' is not allowed: it is not namespaced")
        if name.startswith("net.") and mode.kind == "host":
            raise BadOption(f"sysctl '{name[:80]}' not allowed in host network namespace")


def _joins(value: str) -> bool:
    return value.startswith("container:") and len(value) > len("container:")


def _check_log(host: HostConfig) -> None:
    driver, options = host.log_config.type, host.log_config.config or {}
    if driver not in _LOG_DRIVERS:
        raise NoLogDriver(driver[:80])
    for name in options:
        if name not in _LOG_DRIVERS[driver]:
            raise BadOption(f"unknown log opt '{name[:80]}' for {driver} log driver")
    log_limits(host, 0, 1)


def _check_memory(asked: Resources) -> None:
    memory, swap = asked.memory, asked.memory_swap
    _refuse(0 < memory < _LEAST_MEMORY, "Minimum memory limit allowed is 6MB")
    _refuse(
        memory == 0 and swap > 0,
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    )
    _refuse(
        memory > 0 and 0 < swap < memory,
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    )
    _refuse(
        0 < memory < asked.memory_reservation,
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    )
    _refuse(
        0 < asked.memory_reservation < _LEAST_MEMORY,
        "Minimum memory reservation allowed is 6MB",
    )
    swappiness = asked.memory_swappiness
    _refuse(
        swappiness is not None and not -1 <= swappiness <= 100,
        f"Invalid value: {swappiness}, valid memory swappiness range is 0-100",
    )


def _check_cpus(asked: Resources, facts: Facts) -> None:
    count = len(facts.cpus)
    _refuse(
        asked.nano_cpus < 0 or asked.nano_cpus > count * 1_000_000_000,
        f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available",
    )
    for value, name in ((asked.cpu_period, "CPU Period"), (asked.cpu_quota, "CPU Quota")):
        _refuse(
            asked.nano_cpus > 0 and value > 0,
            f"Conflicting options: Nano CPUs and {name} cannot both be set",
        )
    _refuse(
        asked.cpu_period != 0 and not 1000 <= asked.cpu_period <= 1_000_000,
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    )
    _refuse(0 < asked.cpu_quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)")
    _check_cpuset(asked.cpuset_cpus, facts.cpus)
    _refuse(
        bool(asked.cpuset_mems) and not _CPUSET.fullmatch(asked.cpuset_mems),
        f"Invalid value {asked.cpuset_mems[:80]} for cpuset mems",
    )


def _check_cpuset(text: str, cpus: frozenset[int]) -> None:
    if not text:
        return
    if not _CPUSET.fullmatch(text):
        raise BadOption(f"Invalid value {text[:80]} for cpuset cpus")
    wanted: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        wanted.update(range(int(first), int(last or first) + 1))
    if not wanted <= cpus:
        have = ",".join(map(str, sorted(cpus)))
        raise BadOption(f"Requested CPUs are not available - requested {text}, available: {have}")


def _refuse(condition: bool, words: str) -> None:
    if condition:
        raise BadOption(words)


def _warnings(config: Config, host: HostConfig) -> list[str]:
    mode = NetworkMode.parse(host.network_mode)
    rules: Sequence[tuple[bool, str]] = (
        (
            mode.kind == "host" and bool(host.port_bindings),
            "Published ports are discarded when using host network mode",
        ),
        (
            mode.kind == "none" and bool(host.port_bindings),
            "Published ports are discarded when using no network",
        ),
    )
    return [words for condition, words in rules if condition]
