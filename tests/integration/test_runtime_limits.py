"""Limits seen from inside, the figures read from outside, on this host's control groups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux import usage
from lading.linux.cgroups import Layout
from lading.runtime.resources import Resources
from lading.runtime.spec import Rlimit
from runtime_box import Box, until

MIB = 1024 * 1024


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


def limit_file(box: Box, v1: str, v2: str) -> str:
    """Where a container reads a limit of its own."""
    unified = box.runtime.hierarchies.layout is Layout.UNIFIED
    return f"/sys/fs/cgroup/{v2 if unified else v1}"


def test_memory(box: Box) -> None:
    path = limit_file(box, "memory/memory.limit_in_bytes", "memory.max")
    text = box.output("cat", path, resources=Resources(memory=64 * MIB))
    assert int(text) == 64 * MIB


def test_memory_and_swap(box: Box) -> None:
    if not box.runtime.hierarchies.has_swap_accounting():
        pytest.skip("no swap accounting here")
    path = limit_file(box, "memory/memory.memsw.limit_in_bytes", "memory.swap.max")
    limits = Resources(memory=64 * MIB, memory_swap=64 * MIB)
    text = box.output("cat", path, resources=limits)
    assert int(text) == (0 if box.runtime.hierarchies.layout is Layout.UNIFIED else 64 * MIB)


def test_processes(box: Box) -> None:
    path = limit_file(box, "pids/pids.max", "pids.max")
    assert box.output("cat", path, resources=Resources(pids=7)).strip() == "7"
    container = box.run(
        "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done", resources=Resources(pids=7)
    )
    assert container.wait() != 0
    assert "fork" in container.text("stderr")


def test_no_limit_on_processes(box: Box) -> None:
    path = limit_file(box, "pids/pids.max", "pids.max")
    assert box.output("cat", path, resources=Resources(pids=-1)).strip() == "max"


def test_half_a_processor(box: Box) -> None:
    container = box.run(
        "sh", "-c", "while :; do :; done", resources=Resources(nano_cpus=500_000_000)
    )
    group = box.runtime.group(container.id)
    until(lambda: usage.cpu(group).total > 0)
    before, began = usage.cpu(group).total, time.monotonic()
    time.sleep(1.0)
    share = (usage.cpu(group).total - before) / (time.monotonic() - began) / 1e9
    assert share < 0.65
    assert usage.cpu(group).throttled_periods > 0


def test_shares_and_processors(box: Box) -> None:
    limits = Resources(cpu_shares=512, cpuset_cpus="0")
    if box.runtime.hierarchies.layout is not Layout.UNIFIED:
        assert box.output("cat", "/sys/fs/cgroup/cpu/cpu.shares", resources=limits).strip() == "512"
    assert box.output("nproc", resources=limits).strip() == "1"


def test_one_that_takes_too_much_memory_is_killed_and_it_is_known(box: Box) -> None:
    limits = Resources(memory=16 * MIB, memory_swap=16 * MIB)
    container = box.create(
        "sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1", resources=limits
    )
    group = box.runtime.group(container.id)
    container.start()
    assert container.wait() == 137
    assert usage.oom_kills(group) >= 1
    assert usage.memory(group).limit == 16 * MIB
    assert usage.memory(group).peak == 16 * MIB
    assert (container.bundle / "oom").exists()


def test_the_figures_are_there(box: Box) -> None:
    container = box.run("sh", "-c", "sleep 60 & sleep 60 & wait")
    group = box.runtime.group(container.id)
    until(lambda: len(group.processes()) == usage.pids(group).current == 3)
    found = usage.memory(group)
    assert 0 < found.usage <= found.peak
    assert found.limit is None
    assert found.details
    assert usage.oom_kills(group) == 0
    assert usage.cpu(group).total > 0
    usage.block_devices(group)


def test_limits_change_while_it_runs(box: Box) -> None:
    container = box.run("sleep", "60", resources=Resources(memory=64 * MIB, memory_swap=64 * MIB))
    box.runtime.update(container.id, Resources(memory=32 * MIB, memory_swap=32 * MIB, pids=9))
    group = box.runtime.group(container.id)
    assert usage.memory(group).limit == 32 * MIB
    assert usage.pids(group).limit == 9


def test_a_process_has_its_own_limits(box: Box) -> None:
    text = box.output("sh", "-c", "ulimit -n; ulimit -Hn", rlimits=(Rlimit("nofile", 77, 88),))
    assert text.split() == ["77", "88"]


def test_it_may_be_chosen_first_when_memory_runs_out(box: Box) -> None:
    text = box.output("cat", "/proc/self/oom_score_adj", oom_score_adj=500)
    assert text.strip() == "500"


def test_what_a_crash_left_is_found_and_removed(box: Box) -> None:
    container = box.run("sh", "-c", "sleep 60 & wait")
    parent = box.runtime.hierarchies.group(box.runtime.parent)
    assert container.id in parent.children()
    group = box.runtime.group(container.id)
    for directory in group.directories():
        (directory / "nested").mkdir(exist_ok=True)
    group.destroy()
    assert container.id not in parent.children()
