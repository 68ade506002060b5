"""Limits on block devices, for the devices that are on this host."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from lading.container.options import Resources, ThrottleDevice, WeightDevice
from lading.errors import Invalid
from lading.runtime.resources import BlockLimit

WEIGHTS = "blkio_weight_device"
THROTTLES: Mapping[str, str] = {  # a field of Resources: its name in linux.resources.blockIO
    "blkio_device_read_bps": "throttleReadBpsDevice",
    "blkio_device_write_bps": "throttleWriteBpsDevice",
    "blkio_device_read_iops": "throttleReadIOPSDevice",
    "blkio_device_write_iops": "throttleWriteIOPSDevice",
}


class NoBlockDevice(Invalid):
    """Raised for a path at which this host has no block device."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot limit block device {path[:300]!r}: {reason}")


def limits(asked: Resources) -> tuple[BlockLimit, ...]:
    """What the runtime is to set, by device numbers; NoBlockDevice."""
    return (*_weights(asked.blkio_weight_device or ()), *_throttles(asked))


def _weights(asked: Iterable[WeightDevice]) -> list[BlockLimit]:
    return [BlockLimit("weightDevice", *_numbers(each.path), each.weight) for each in asked]


def _throttles(asked: Resources) -> list[BlockLimit]:
    found = []
    for field, name in THROTTLES.items():
        wishes: list[ThrottleDevice] = getattr(asked, field) or []
        found += [BlockLimit(name, *_numbers(each.path), each.rate) for each in wishes]
    return found


def _numbers(path: str) -> tuple[int, int]:
    if "\0" in path:
        raise NoBlockDevice(path, "no such file or directory")
    try:
        found = Path(path).stat()
    except OSError as error:
        raise NoBlockDevice(path, (error.strerror or str(error)).lower()) from None
    if not stat.S_ISBLK(found.st_mode):
        raise NoBlockDevice(path, "not a block device")
    return os.major(found.st_rdev), os.minor(found.st_rdev)
