"""What Docker knows and this engine cannot do: refused by name, never ignored (pure).

An option leaves these tables when whatever it asks for is enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lading.container.options import Config, HostConfig, UpdateRequest
from lading.errors import Unsupported

_NOTHING: tuple[Any, ...] = (None, "", 0, False, [], {})
_WINDOWS = "it is for Windows alone"
_REAL_TIME = "the kernels of distributions come without real-time groups"
_NO_KERNEL_MEMORY = "Linux has no such limit any more"
_HOST: Mapping[str, tuple[str, str]] = {  # a field of HostConfig: as people write it, why not
    "volume_driver": ("--volume-driver", "there are no plugins, the driver is local"),
    "device_requests": ("--gpus", "no driver finds devices here, --device gives them by path"),
    "cpu_realtime_period": ("--cpu-rt-period", _REAL_TIME),
    "cpu_realtime_runtime": ("--cpu-rt-runtime", _REAL_TIME),
    "kernel_memory": ("--kernel-memory", _NO_KERNEL_MEMORY),
    "kernel_memory_tcp": ("--kernel-memory-tcp", _NO_KERNEL_MEMORY),
    "cpu_count": ("--cpu-count", _WINDOWS),
    "cpu_percent": ("--cpu-percent", _WINDOWS),
    "io_maximum_iops": ("--io-maxiops", _WINDOWS),
    "io_maximum_bandwidth": ("--io-maxbandwidth", _WINDOWS),
    "isolation": ("--isolation", _WINDOWS),
    "storage_opt": ("--storage-opt", "a writable layer has no limit of its own"),
    "userns_mode": ("--userns", "user namespaces are not remapped, host is the only mode"),
    "cgroup": ("--cgroup", "a group of another container cannot be joined"),
}
_UPDATE: Mapping[str, tuple[str, str]] = {  # more that no update can change
    name: (option, "it cannot be changed while the container is there")
    for name, option in {
        "cgroup_parent": "--cgroup-parent",
        "blkio_weight_device": "--blkio-weight-device",
        "blkio_device_read_bps": "--device-read-bps",
        "blkio_device_write_bps": "--device-write-bps",
        "blkio_device_read_iops": "--device-read-iops",
        "blkio_device_write_iops": "--device-write-iops",
        "devices": "--device",
        "device_cgroup_rules": "--device-cgroup-rule",
        "ulimits": "--ulimit",
    }.items()
}
_ALLOWED: Mapping[
    str, Callable[[Any], bool]
] = {  # values beside the empty ones that change nothing
    "volume_driver": lambda value: value == "local",
    "isolation": lambda value: value == "default",
    "userns_mode": lambda value: value == "host",
}


class UnsupportedOption(Unsupported):
    """Raised for an option that lading cannot honour."""

    def __init__(self, option: str, reason: str = "") -> None:
        because = f": {reason}" if reason else ""
        super().__init__(f"{option} is not supported by lading{because}")
        self.option = option


def check(config: Config, host: HostConfig) -> None:
    """Raise UnsupportedOption for what *config* and *host* ask in vain."""
    _refuse(host, _HOST)
    if config.args_escaped:
        raise UnsupportedOption("ArgsEscaped", _WINDOWS)


def check_update(update: UpdateRequest) -> None:
    """The same for an update."""
    known = {name: option for name, option in _HOST.items() if hasattr(update, name)}
    _refuse(update, {**known, **_UPDATE})


def _refuse(asked: Any, options: Mapping[str, tuple[str, str]]) -> None:
    for name, (option, reason) in options.items():
        value = getattr(asked, name)
        if value in _NOTHING or _ALLOWED.get(name, lambda _: False)(value):
            continue
        raise UnsupportedOption(option, reason)
