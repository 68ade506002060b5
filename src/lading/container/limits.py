"""A container's limits, from Docker's words to the runtime's (pure)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lading.container.options import HostConfig, Resources, Ulimit
from lading.runtime import resources as runtime
from lading.runtime.spec import Rlimit

# Without these the container would inherit the engine's own, which are as high as can be.
USUAL_RLIMITS = (
    Rlimit("nofile", 1024, 524_288),
    Rlimit("nproc", -1, -1),
    Rlimit("core", -1, -1),
)


def limits(asked: Resources) -> runtime.Resources:
    """The limits for the runtime; what was not asked for is left out."""
    return runtime.Resources(
        memory=asked.memory or None,
        memory_swap=asked.memory_swap or None,
        memory_reservation=asked.memory_reservation or None,
        memory_swappiness=asked.memory_swappiness,
        oom_kill_disable=bool(asked.oom_kill_disable),
        nano_cpus=asked.nano_cpus or None,
        cpu_shares=asked.cpu_shares or None,
        cpu_quota=asked.cpu_quota or None,
        cpu_period=asked.cpu_period or None,
        cpuset_cpus=asked.cpuset_cpus or None,
        cpuset_mems=asked.cpuset_mems or None,
        pids=asked.pids_limit or None,
        blkio_weight=asked.blkio_weight or None,
    )


def rlimits(asked: Iterable[Ulimit], usual: Iterable[Rlimit]) -> tuple[Rlimit, ...]:
    """The process limits: the *usual* ones, replaced by those asked for."""
    own = {u.name: Rlimit(u.name, u.soft, u.hard) for u in asked}
    return tuple({**{limit.name: limit for limit in usual}, **own}.values())


def updated(current: HostConfig, asked: Resources) -> HostConfig:
    """*current* with the limits that *asked* names: zero and nothing leave one as it is."""
    given = {name: getattr(asked, name) for name in Resources.__struct_fields__}
    named = {name: value for name, value in given.items() if value not in (None, 0, "", [])}
    return msgspec.structs.replace(current, **named)
