"""A container's limits, as runtime-spec's `linux.resources` (config-linux.md#control-groups)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lading.runtime.devices import DeviceRule

Json = dict[str, Any]

_PERIOD = 100_000  # microseconds


@dataclass(frozen=True, slots=True)
class BlockLimit:
    """One limit of one block device; *kind* as runtime-spec calls it, like ``weightDevice``."""

    kind: str
    major: int
    minor: int
    value: int

    def document(self) -> Json:
        unit = "weight" if self.kind == "weightDevice" else "rate"
        return {"major": self.major, "minor": self.minor, unit: self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits in Docker's units: bytes, billionths of a CPU, microseconds; None leaves as is.

    Memory, swap and pids take -1 for "no limit".
    """

    memory: int | None = None
    memory_swap: int | None = None  # memory and swap together
    memory_reservation: int | None = None
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    nano_cpus: int | None = None
    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids: int | None = None
    blkio_weight: int | None = None
    block_devices: tuple[BlockLimit, ...] = ()


def linux_resources(resources: Resources, devices: Iterable[DeviceRule] | None = None) -> Json:
    """The limits as the runtime wants them; without *devices*, for an update."""
    document: Json = {
        "memory": _memory(resources),
        "cpu": _cpu(resources),
        "pids": None if resources.pids is None else {"limit": resources.pids or -1},
        "blockIO": _block_io(resources),
    }
    document = {key: value for key, value in document.items() if value}
    if devices is not None:
        document["devices"] = [rule.document() for rule in devices]
    return document


def _block_io(resources: Resources) -> Json:
    wanted: Json = {"weight": resources.blkio_weight or None}
    for limit in resources.block_devices:
        wanted.setdefault(limit.kind, []).append(limit.document())
    return _given(wanted)


def _memory(resources: Resources) -> Json:
    wanted: Json = {
        "limit": resources.memory or None,
        "swap": resources.memory_swap or None,
        "reservation": resources.memory_reservation or None,
        "swappiness": resources.memory_swappiness,
        "disableOOMKiller": resources.oom_kill_disable or None,
    }
    return _given(wanted)


def _cpu(resources: Resources) -> Json:
    quota, period = resources.cpu_quota, resources.cpu_period
    if resources.nano_cpus:
        period = _PERIOD
        quota = resources.nano_cpus * _PERIOD // 1_000_000_000
    wanted: Json = {
        "shares": resources.cpu_shares or None,
        "quota": quota or None,
        "period": period or None,
        "cpus": resources.cpuset_cpus or None,
        "mems": resources.cpuset_mems or None,
    }
    return _given(wanted)


def _given(wanted: Json) -> Json:
    return {key: value for key, value in wanted.items() if value is not None}
