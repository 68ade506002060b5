"""What a control group has used: processor, memory, processes, block devices, out-of-memory kills.

The figures are the kernel's, cgroup v1's and v2's brought to one form; a controller that is not
there reads as zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.linux.cgroups import UNIFIED, Group, Layout

_NO_LIMIT_V1 = 2**62  # v1 writes "no limit" as a number near 2**63


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Processor time in nanoseconds, and how often a quota held it back."""

    total: int = 0
    user: int = 0
    system: int = 0
    each_cpu: tuple[int, ...] = ()  # v1 only
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Bytes; *limit* None is no limit.  *details* are the kernel's own counters."""

    usage: int = 0
    peak: int = 0
    limit: int | None = None
    failures: int = 0  # how often the limit was hit
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PidsUsage:
    current: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceUsage:
    """What went through one block device: *operation* is ``read`` or ``write``."""

    major: int
    minor: int
    operation: str
    bytes: int
    operations: int


def cpu(group: Group) -> CpuUsage:
    if group.hierarchies.layout is Layout.UNIFIED:
        return _cpu_v2(_pairs(_file(group, UNIFIED, "cpu.stat")))
    stat = _pairs(_file(group, "cpu", "cpu.stat"))
    each = _text(_file(group, "cpuacct", "cpuacct.usage_percpu")).split()
    return CpuUsage(
        total=_number(_file(group, "cpuacct", "cpuacct.usage")),
        user=_number(_file(group, "cpuacct", "cpuacct.usage_user")),
        system=_number(_file(group, "cpuacct", "cpuacct.usage_sys")),
        each_cpu=tuple(int(value) for value in each),
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled_time=stat.get("throttled_time", 0),
    )


def _cpu_v2(stat: Mapping[str, int]) -> CpuUsage:
    return CpuUsage(
        total=stat.get("usage_usec", 0) * 1000,
        user=stat.get("user_usec", 0) * 1000,
        system=stat.get("system_usec", 0) * 1000,
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled_time=stat.get("throttled_usec", 0) * 1000,
    )


def memory(group: Group) -> MemoryUsage:
    if group.hierarchies.layout is Layout.UNIFIED:
        return MemoryUsage(
            usage=_number(_file(group, UNIFIED, "memory.current")),
            peak=_number(_file(group, UNIFIED, "memory.peak")),
            limit=_limit(_file(group, UNIFIED, "memory.max")),
            failures=_pairs(_file(group, UNIFIED, "memory.events")).get("max", 0),
            details=_pairs(_file(group, UNIFIED, "memory.stat")),
        )
    return MemoryUsage(
        usage=_number(_file(group, "memory", "memory.usage_in_bytes")),
        peak=_number(_file(group, "memory", "memory.max_usage_in_bytes")),
        limit=_limit(_file(group, "memory", "memory.limit_in_bytes")),
        failures=_number(_file(group, "memory", "memory.failcnt")),
        details=_pairs(_file(group, "memory", "memory.stat")),
    )


def pids(group: Group) -> PidsUsage:
    return PidsUsage(
        _number(_file(group, "pids", "pids.current")), _limit(_file(group, "pids", "pids.max"))
    )


def block_devices(group: Group) -> list[DeviceUsage]:
    """One entry for each device and direction that saw any traffic."""
    if group.hierarchies.layout is Layout.UNIFIED:
        return list(_io_v2(_text(_file(group, UNIFIED, "io.stat"))))
    moved = _blkio(_file(group, "blkio", "blkio.throttle.io_service_bytes_recursive"))
    times = _blkio(_file(group, "blkio", "blkio.throttle.io_serviced_recursive"))
    return [
        DeviceUsage(major, minor, operation, count, times.get((major, minor, operation), 0))
        for (major, minor, operation), count in moved.items()
    ]


def oom_kills(group: Group) -> int:
    """How many processes of the group the kernel has killed for want of memory."""
    if group.hierarchies.layout is Layout.UNIFIED:
        return _pairs(_file(group, UNIFIED, "memory.events")).get("oom_kill", 0)
    return _pairs(_file(group, "memory", "memory.oom_control")).get("oom_kill", 0)


def _io_v2(text: str) -> Iterator[DeviceUsage]:
    """Lines as ``8:0 rbytes=1 wbytes=2 rios=3 wios=4 …``."""
    for line in text.splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        values = dict(field.split("=", 1) for field in fields if "=" in field)
        for operation, letter in (("read", "r"), ("write", "w")):
            moved = int(values.get(f"{letter}bytes", 0))
            times = int(values.get(f"{letter}ios", 0))
            yield DeviceUsage(int(major), int(minor), operation, moved, times)


def _blkio(path: Path | None) -> dict[tuple[int, int, str], int]:
    """Lines as ``8:0 Read 4096``."""
    found = {}
    for line in _text(path).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in ("Read", "Write"):
            major, _, minor = fields[0].partition(":")
            found[int(major), int(minor), fields[1].lower()] = int(fields[2])
    return found


def _file(group: Group, controller: str, name: str) -> Path | None:
    directory = group.directory(controller)
    return None if directory is None else directory / name


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path | None) -> int:
    return int(_text(path).strip() or 0)


def _limit(path: Path | None) -> int | None:
    text = _text(path).strip()
    if not text or text == "max" or int(text) >= _NO_LIMIT_V1:
        return None
    return int(text)


def _pairs(path: Path | None) -> dict[str, int]:
    """Lines of a name and a number."""
    fields = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in fields if len(pair) == 2 and pair[1].isdigit()}
