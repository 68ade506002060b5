"""One look at what a container uses, as `ContainerStatsResponse` wants it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lading.api.times import ZERO, rfc3339
from lading.linux import usage
from lading.linux.cgroups import Group, Layout

Json = dict[str, Any]
_TICKS = os.sysconf("SC_CLK_TCK")
_BLKIO_WITHOUT_FIGURES = (
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)
_NETWORK = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped")
_COLUMNS = {"rx_": 0, "tx_": 8}  # in /proc/net/dev
_NO_CPU: Mapping[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read, and when (nanoseconds since 1970); *shown* lacks the sample before it."""

    time_ns: int
    cpu: Json
    shown: Json


def sample(group: Group, pid: int) -> Sample:
    """Read the group's figures, and the network's from the view of process *pid*."""
    unified = group.hierarchies.layout is Layout.UNIFIED
    processor = _cpu(group)
    networks = _networks(_text(Path(f"/proc/{pid}/net/dev")))
    shown: Json = {
        "pids_stats": _pids(group),
        "blkio_stats": _blkio(group, unified=unified),
        "num_procs": 0,
        "storage_stats": {},
        "memory_stats": _memory(group, unified=unified),
    }
    if networks:
        shown["networks"] = networks
    return Sample(time.time_ns(), processor, shown)


def nothing() -> Json:
    """What a container that does not run uses."""
    return {
        "read": ZERO,
        "preread": ZERO,
        "pids_stats": {},
        "blkio_stats": dict.fromkeys(
            ("io_service_bytes_recursive", "io_serviced_recursive", *_BLKIO_WITHOUT_FIGURES)
        ),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _NO_CPU,
        "precpu_stats": _NO_CPU,
        "memory_stats": {},
    }


def shown(now: Sample, before: Sample | None) -> Json:
    """*now* with the sample *before* it, from which clients reckon the processor's share."""
    return {
        "read": rfc3339(now.time_ns),
        "preread": rfc3339(before.time_ns) if before else ZERO,
        **now.shown,
        "cpu_stats": now.cpu,
        "precpu_stats": before.cpu if before else _NO_CPU,
    }


def _cpu(group: Group) -> Json:
    used = usage.cpu(group)
    times: Json = {
        "total_usage": used.total,
        "usage_in_kernelmode": used.system,
        "usage_in_usermode": used.user,
    }
    if used.each_cpu:
        times["percpu_usage"] = list(used.each_cpu)
    return {
        "cpu_usage": times,
        "system_cpu_usage": _system_cpu(_text(Path("/proc/stat"))),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": used.periods,
            "throttled_periods": used.throttled_periods,
            "throttled_time": used.throttled_time,
        },
    }


def _system_cpu(stat: str) -> int:
    """Nanoseconds that all processors have spent, idle or not: the first line of /proc/stat."""
    ticks = stat.partition("\n")[0].split()[1:9]
    return sum(map(int, ticks)) * (1_000_000_000 // _TICKS)


def _memory(group: Group, *, unified: bool) -> Json:
    used = usage.memory(group)
    shown: Json = {
        "usage": used.usage,
        "stats": dict(used.details),
        "limit": _least(used.limit, _total_memory()),
    }
    if not unified:
        shown["max_usage"] = used.peak
        shown |= {"failcnt": used.failures} if used.failures else {}
    return shown


def _least(limit: int | None, total: int) -> int:
    return total if limit is None else min(limit, total)


def _total_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _pids(group: Group) -> Json:
    used = usage.pids(group)
    return {"current": used.current} | ({"limit": used.limit} if used.limit else {})


def _blkio(group: Group, *, unified: bool) -> Json:
    devices = usage.block_devices(group)
    moved = [_device(each, each.bytes, unified=unified) for each in devices]
    times = [_device(each, each.operations, unified=unified) for each in devices]
    rest: Json = dict.fromkeys(_BLKIO_WITHOUT_FIGURES, None if unified else [])
    return {
        "io_service_bytes_recursive": moved or (None if unified else []),
        "io_serviced_recursive": None if unified else times,
        **rest,
    }


def _device(each: usage.DeviceUsage, value: int, *, unified: bool) -> Json:
    operation = each.operation if unified else each.operation.capitalize()
    return {"major": each.major, "minor": each.minor, "op": operation, "value": value}


def _networks(text: str) -> dict[str, Json]:
    """The counters of every interface but the loopback: proc(5), /proc/net/dev."""
    return {name: counters for name, counters in _interfaces(text.splitlines()[2:]) if name != "lo"}


def _interfaces(lines: Iterable[str]) -> Iterable[tuple[str, Json]]:
    for line in lines:
        name, _, numbers = line.partition(":")
        values = [int(number) for number in numbers.split()]
        counters = {
            direction + kind.removeprefix("rx_"): values[column + index]
            for direction, column in _COLUMNS.items()
            for index, kind in enumerate(_NETWORK)
        }
        yield name.strip(), counters


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
