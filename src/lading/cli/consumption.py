"""What ``stats`` shows of a container: the arithmetic, and the columns (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lading.cli.rows import Shape
from lading.cli.units import binary_size, short_id, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Stats = Mapping[str, Any]

_NOTHING = "--"
_CACHE = ("total_inactive_file", "inactive_file")  # of control groups version 1, and 2


def shape(*, trunc: bool) -> Shape:
    """What is known of an item: Container is the name asked for, Stats the answer or None."""
    fields: dict[str, tuple[str, Callable[[Stats], str]]] = {
        "ID": ("CONTAINER ID", lambda s: short_id(s["id"]) if trunc else s["id"]),
        "Name": ("NAME", lambda s: s["name"].removeprefix("/")),
        "CPUPerc": ("CPU %", lambda s: f"{processor(s):.2f}%"),
        "MemUsage": ("MEM USAGE / LIMIT", _memory_and_limit),
        "MemPerc": ("MEM %", _memory_percent),
        "NetIO": ("NET I/O", lambda s: _pair(network(s))),
        "BlockIO": ("BLOCK I/O", lambda s: _pair(blocks(s))),
        "PIDs": ("PIDS", lambda s: str((s.get("pids_stats") or {}).get("current") or 0)),
    }
    shown = {name: (header, _or_nothing(show)) for name, (header, show) in fields.items()}
    shown["Container"] = ("CONTAINER", lambda item: item["Container"])
    return Shape("*container.statsContext", shown, list(fields))


def _or_nothing(show: Callable[[Stats], str]) -> Callable[[Mapping[str, Any]], str]:
    return lambda item: show(item["Stats"]) if item["Stats"] else _NOTHING


def processor(stats: Stats) -> float:
    """Percent of one processor that was used since the sample before."""
    now, before = stats.get("cpu_stats") or {}, stats.get("precpu_stats") or {}
    used = _total(now) - _total(before)
    passed = (now.get("system_cpu_usage") or 0) - (before.get("system_cpu_usage") or 0)
    each = (now.get("cpu_usage") or {}).get("percpu_usage") or ()
    count = now.get("online_cpus") or len(each)
    return used / passed * count * 100 if used > 0 and passed > 0 else 0.0


def memory(stats: Stats) -> int:
    """Bytes used, without the cache that the kernel would give back at once."""
    found = stats.get("memory_stats") or {}
    usage, details = found.get("usage") or 0, found.get("stats") or {}
    cache = next((details[name] for name in _CACHE if name in details), 0)
    return int(usage - cache if cache < usage else usage)


def network(stats: Stats) -> tuple[int, int]:
    """Bytes received and sent, over all interfaces."""
    counters = (stats.get("networks") or {}).values()
    return sum(c["rx_bytes"] for c in counters), sum(c["tx_bytes"] for c in counters)


def blocks(stats: Stats) -> tuple[int, int]:
    """Bytes read from and written to block devices."""
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read, written = (
        sum(each["value"] for each in moved if each["op"][:1].lower() == letter)
        for letter in ("r", "w")
    )
    return read, written


def _total(cpu: Stats) -> int:
    return int((cpu.get("cpu_usage") or {}).get("total_usage") or 0)


def _limit(stats: Stats) -> int:
    return int((stats.get("memory_stats") or {}).get("limit") or 0)


def _memory_and_limit(stats: Stats) -> str:
    return f"{binary_size(memory(stats))} / {binary_size(_limit(stats))}"


def _memory_percent(stats: Stats) -> str:
    limit = _limit(stats)
    return f"{memory(stats) / limit * 100 if limit else 0:.2f}%"


def _pair(both: tuple[int, int]) -> str:
    return " / ".join(size(count, 3) for count in both)
