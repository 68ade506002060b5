"""How a container is placed on this host, completed with Docker's defaults (pure)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lading.container.options import HostConfig, LogConfig, RestartPolicy
from lading.runtime.spec import MASKED_PATHS, READONLY_PATHS

SHM_SIZE = 64 * 1024 * 1024  # bytes
LOG_DRIVER = "json-file"


@dataclass(frozen=True, slots=True)
class Facts:
    """What defaults and limits depend on here."""

    cpus: frozenset[int]  # the numbers of those that are online
    swap_accounting: bool  # whether swap can be limited
    unified: bool  # cgroup v2 alone
    runtime: str
    block_io: frozenset[str] = frozenset()  # the limits on block devices that there are
    cpu_counters: tuple[str, ...] = ()  # paths that tell how often each CPU was throttled


def completed(asked: HostConfig, facts: Facts) -> HostConfig:
    """*asked* with what Docker shows where nothing was said."""
    return msgspec.structs.replace(
        asked,
        network_mode=asked.network_mode or "default",
        restart_policy=_restart_policy(asked.restart_policy),
        log_config=LogConfig(
            type=asked.log_config.type or LOG_DRIVER, config=asked.log_config.config or {}
        ),
        shm_size=asked.shm_size or SHM_SIZE,
        ipc_mode=asked.ipc_mode or "private",
        cgroupns_mode=asked.cgroupns_mode or ("private" if facts.unified else "host"),
        runtime=asked.runtime or facts.runtime,
        memory_swap=_memory_swap(asked, facts),
        memory_swappiness=None if asked.memory_swappiness == -1 else asked.memory_swappiness,
        pids_limit=asked.pids_limit if (asked.pids_limit or 0) > 0 else None,
        oom_kill_disable=None if facts.unified else bool(asked.oom_kill_disable),
        console_size=asked.console_size or [0, 0],
        masked_paths=_paths(asked.masked_paths, (*MASKED_PATHS, *facts.cpu_counters), asked),
        readonly_paths=_paths(asked.readonly_paths, READONLY_PATHS, asked),
    )


def _restart_policy(policy: RestartPolicy) -> RestartPolicy:
    return policy if policy.name else msgspec.structs.replace(policy, name="no")


def _memory_swap(asked: HostConfig, facts: Facts) -> int:
    """As much swap as memory, where nothing else is said."""
    if asked.memory > 0 and not asked.memory_swap and facts.swap_accounting:
        return 2 * asked.memory
    return asked.memory_swap


def _paths(
    given: list[str] | None, default: tuple[str, ...], asked: HostConfig
) -> list[str] | None:
    if given is not None:
        return given
    open_wide = asked.privileged or "systempaths=unconfined" in (asked.security_opt or ())
    return None if open_wide else list(default)
