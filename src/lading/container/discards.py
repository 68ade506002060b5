"""What Docker drops with a warning, because this kernel has no such limit (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from lading.container.options import Resources
from lading.container.placement import Facts

_NO = "Your kernel does not support "
_MOUNTED = " or the cgroup is not mounted. "
_BLOCK_IO: Mapping[str, str] = {  # a field, as `Facts.block_io` names it too: what is said
    "blkio_weight": f"{_NO}Block I/O weight{_MOUNTED}Weight discarded.",
    "blkio_weight_device": f"{_NO}Block I/O weight_device{_MOUNTED}Weight-device discarded.",
    "blkio_device_read_bps": (
        f"{_NO}BPS Block I/O read limit{_MOUNTED}Block I/O BPS read limit discarded."
    ),
    "blkio_device_write_bps": (
        f"{_NO}BPS Block I/O write limit{_MOUNTED}Block I/O BPS write limit discarded."
    ),
    "blkio_device_read_iops": (
        f"{_NO}IOPS Block read limit{_MOUNTED}Block I/O IOPS read limit discarded."
    ),
    "blkio_device_write_iops": (
        f"{_NO}IOPS Block write limit{_MOUNTED}Block I/O IOPS write limit discarded."
    ),
}
_ONLY_V1: Mapping[str, str] = {  # fields that cgroup v2 has nothing for
    "oom_kill_disable": f"{_NO}OomKillDisable. OomKillDisable discarded.",
    "memory_swappiness": (
        f"{_NO}memory swappiness capabilities{_MOUNTED}Memory swappiness discarded."
    ),
}
T = TypeVar("T", bound=Resources)


def without(asked: T, facts: Facts) -> tuple[T, list[str]]:
    """*asked* without what has no effect here, and a warning for each."""
    gone = {field: words for field, words in _BLOCK_IO.items() if field not in facts.block_io}
    gone |= _ONLY_V1 if facts.unified else {}
    found = {field: words for field, words in gone.items() if _is_asked(getattr(asked, field))}
    empty: dict[str, Any] = {field: 0 if field == "blkio_weight" else None for field in found}
    return msgspec.structs.replace(asked, **empty), list(found.values())


def _is_asked(value: Any) -> bool:
    return value not in (None, 0, False, -1, [])
