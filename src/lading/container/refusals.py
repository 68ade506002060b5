"""What Docker knows and this engine cannot do: refused by name, never ignored (pure).

An option leaves these tables when whatever it asks for is enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lading.container.options import Config, HostConfig, UpdateRequest
from lading.errors import Unsupported

_NOTHING: tuple[Any, ...] = (None, "", 0, False, [], {})
_HOST: Mapping[str, str] = {  # a field of HostConfig: the option that people write
    "volume_driver": "--volume-driver",
    "device_requests": "--gpus",
    "cpu_realtime_period": "--cpu-rt-period",
    "cpu_realtime_runtime": "--cpu-rt-runtime",
    "kernel_memory": "--kernel-memory",
    "kernel_memory_tcp": "--kernel-memory-tcp",
    "cpu_count": "--cpu-count",
    "cpu_percent": "--cpu-percent",
    "io_maximum_iops": "--io-maxiops",
    "io_maximum_bandwidth": "--io-maxbandwidth",
    "isolation": "--isolation",
    "storage_opt": "--storage-opt",
    "userns_mode": "--userns",
    "cgroup": "--cgroup",
    "cgroup_parent": "--cgroup-parent",
    "blkio_weight_device": "--blkio-weight-device",
    "blkio_device_read_bps": "--device-read-bps",
    "blkio_device_write_bps": "--device-write-bps",
    "blkio_device_read_iops": "--device-read-iops",
    "blkio_device_write_iops": "--device-write-iops",
}
_ALLOWED: Mapping[
    str, Callable[[Any], bool]
] = {  # values beside the empty ones that change nothing
    "volume_driver": lambda value: value == "local",
    "isolation": lambda value: value == "default",
    "userns_mode": lambda value: value == "host",
}


class UnsupportedOption(Unsupported):
    """Raised for an option that lading cannot honour yet."""

    def __init__(self, option: str, detail: str = "") -> None:
        super().__init__(
            f"{option} is not supported by lading yet" + (f": {detail}" if detail else "")
        )
        self.option = option


def check(config: Config, host: HostConfig) -> None:
    """Raise UnsupportedOption for what *config* and *host* ask in vain."""
    _refuse(host, _HOST)
    if host.ipc_mode == "none":
        raise UnsupportedOption("--ipc", "none")
    if config.args_escaped:
        raise UnsupportedOption("ArgsEscaped", "it is for Windows alone")


def check_update(update: UpdateRequest) -> None:
    """The same for an update."""
    _refuse(update, {name: option for name, option in _HOST.items() if hasattr(update, name)})


def _refuse(asked: Any, options: Mapping[str, str]) -> None:
    for name, option in options.items():
        value = getattr(asked, name)
        if value in _NOTHING or _ALLOWED.get(name, lambda _: False)(value):
            continue
        raise UnsupportedOption(option)
