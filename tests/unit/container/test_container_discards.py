"""Limits that this kernel has not: dropped with Docker's warning, never silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.container import discards
from lading.container.checks import BadOption, check
from lading.container.options import Config, HostConfig, LogConfig, ThrottleDevice, WeightDevice
from lading.container.placement import Facts
from lading.linux.cgroups import Hierarchies, Layout

LOG = LogConfig(type="json-file")
NOTHING = Facts(frozenset({0}), swap_accounting=True, unified=True, runtime="runc")
OLD = Facts(
    frozenset({0}),
    swap_accounting=True,
    unified=False,
    runtime="runc",
    block_io=frozenset({"blkio_weight", "blkio_device_read_bps"}),
)
ASKED = HostConfig(
    blkio_weight=100,
    blkio_weight_device=[WeightDevice(path="/dev/x", weight=100)],
    blkio_device_read_bps=[ThrottleDevice(path="/dev/x", rate=5)],
    oom_kill_disable=True,
    memory_swappiness=10,
)


def test_what_there_is_stays() -> None:
    host, warnings = discards.without(ASKED, OLD)
    assert host.blkio_weight == 100
    assert host.blkio_device_read_bps == ASKED.blkio_device_read_bps
    assert host.oom_kill_disable and host.memory_swappiness == 10
    assert host.blkio_weight_device is None
    (warning,) = warnings
    assert warning.startswith("Your kernel does not support Block I/O weight_device")


def test_what_there_is_not_goes_with_a_warning_each() -> None:
    host, warnings = discards.without(ASKED, NOTHING)
    assert host == HostConfig()
    assert len(warnings) == 5
    assert all(words.endswith("discarded.") for words in warnings)


def test_what_was_not_asked_for_is_not_spoken_of() -> None:
    assert discards.without(HostConfig(memory_swappiness=-1), NOTHING)[1] == []


def test_the_kernel_is_asked_by_its_files(tmp_path: Path) -> None:
    root = tmp_path
    (root / "a").mkdir()
    (root / "a" / "io.max").touch()
    assert Hierarchies(Layout.UNIFIED, {"": root}).block_limits() == {
        "blkio_device_read_bps",
        "blkio_device_write_bps",
        "blkio_device_read_iops",
        "blkio_device_write_iops",
    }
    assert Hierarchies(Layout.V1, {"memory": root}).block_limits() == frozenset()


@pytest.mark.parametrize("parent", ["/a", "a", "a/b", "/a/b/", "system.slice"])
def test_a_group_may_be_named(parent: str) -> None:
    check(Config(), HostConfig(cgroup_parent=parent, log_config=LOG), OLD)


@pytest.mark.parametrize("parent", ["..", "/../x", "a/..", "a//b", "/", "lading-1", "a/./b", "a\0"])
def test_a_group_never_leads_elsewhere(parent: str) -> None:
    with pytest.raises(BadOption, match="invalid cgroup parent"):
        check(Config(), HostConfig(cgroup_parent=parent, log_config=LOG), OLD)
