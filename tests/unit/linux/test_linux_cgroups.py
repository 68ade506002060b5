"""Hierarchies are found in mountinfo, and one group is seen in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.linux import usage
from lading.linux.cgroups import UNIFIED, Group, Hierarchies, Layout, NoCgroups, own_groups

V1 = """\
31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""
MIXED = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


class TestLayout:
    def test_v1(self) -> None:
        found = Hierarchies.parse(V1)
        assert found.layout is Layout.V1
        assert found.roots["cpu"] == found.roots["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
        assert found.tracked_root() == Path("/sys/fs/cgroup/systemd")
        assert len(found.directories()) == 3

    def test_hybrid(self) -> None:
        found = Hierarchies.parse(MIXED)
        assert found.layout is Layout.HYBRID
        assert found.roots[UNIFIED] == Path("/sys/fs/cgroup/unified")

    def test_unified(self) -> None:
        found = Hierarchies.parse(V2)
        assert found.layout is Layout.UNIFIED
        assert found.group("/a/b").directory("memory") == Path("/sys/fs/cgroup/a/b")
        assert found.tracked_root() == Path("/sys/fs/cgroup")

    def test_v1_named_hierarchy_beside_v2_controllers_is_unified(self) -> None:
        named = "32 31 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        assert Hierarchies.parse(V2 + named).layout is Layout.UNIFIED

    def test_none(self) -> None:
        with pytest.raises(NoCgroups):
            Hierarchies.parse("23 1 0:20 / / rw - ext4 /dev/vda rw\n")

    def test_this_host_has_some(self) -> None:
        assert Hierarchies.read().roots
        assert own_groups()


@pytest.fixture
def mixed(tmp_path: Path) -> Hierarchies:
    names = {"cpu": "cpu", "cpuacct": "cpu", "memory": "memory", "pids": "pids", "blkio": "blkio"}
    roots = {name: tmp_path / directory for name, directory in names.items()}
    roots["freezer"] = tmp_path / "freezer"
    roots[UNIFIED] = tmp_path / "unified"
    for root in roots.values():
        root.mkdir(exist_ok=True)
    return Hierarchies(Layout.HYBRID, roots)


@pytest.fixture
def unified(tmp_path: Path) -> Hierarchies:
    (tmp_path / "v2").mkdir()
    return Hierarchies(Layout.UNIFIED, {UNIFIED: tmp_path / "v2"})


def write(group: Group, controller: str, **files: str) -> None:
    directory = group.directory(controller)
    assert directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)


class TestGroup:
    def test_it_is_made_everywhere_and_removed_everywhere(self, mixed: Hierarchies) -> None:
        group = mixed.group("lading-x/c1")
        assert not group.exists()
        group.create()
        assert len(group.directories()) == 6
        assert mixed.group("/lading-x").children() == ["c1"]
        group.destroy()
        group.destroy()
        assert not group.exists()
        mixed.group("/lading-x").remove_empty()
        assert not mixed.group("/lading-x").exists()

    def test_its_processes_are_those_of_any_hierarchy_and_below(self, mixed: Hierarchies) -> None:
        write(mixed.group("/a"), "memory", cgroup__procs="5\n7\n")
        write(mixed.group("/a/b"), "pids", cgroup__procs="9\n")
        assert mixed.group("/a").processes() == [5, 7, 9]

    def test_frozen_on_v1(self, mixed: Hierarchies) -> None:
        group = mixed.group("/a")
        assert not group.frozen()
        write(group, "freezer", freezer__state="FREEZING\n")
        assert not group.frozen()
        group.freeze()
        assert group.frozen()
        group.thaw()
        assert not group.frozen()

    def test_frozen_on_v2(self, unified: Hierarchies) -> None:
        group = unified.group("/a")
        write(group, "freezer", cgroup__events="populated 1\nfrozen 1\n", cgroup__freeze="0")
        assert group.frozen()
        group.thaw()
        assert (unified.roots[UNIFIED] / "a/cgroup.freeze").read_text() == "0"


class TestUsage:
    def test_of_v1(self, mixed: Hierarchies) -> None:
        group = mixed.group("/a")
        write(
            group,
            "cpu",
            cpuacct__usage="300\n",
            cpuacct__usage_user="200\n",
            cpuacct__usage_sys="100\n",
            cpuacct__usage_percpu="100 200 \n",
            cpu__stat="nr_periods 4\nnr_throttled 2\nthrottled_time 99\n",
        )
        write(
            group,
            "memory",
            memory__usage_in_bytes="4096\n",
            memory__max_usage_in_bytes="8192\n",
            memory__limit_in_bytes="9223372036854771712\n",
            memory__failcnt="3\n",
            memory__stat="cache 1\nrss 2\n",
            memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        )
        write(group, "pids", pids__current="5\n", pids__max="max\n")
        text = "8:0 Read 512\n8:0 Write 1024\n8:0 Sync 5\n8:0 Total 1536\nTotal 1536\n"
        write(group, "blkio", blkio__throttle__io_service_bytes_recursive=text)
        cpu = usage.cpu(group)
        assert (cpu.total, cpu.user, cpu.system, cpu.each_cpu) == (300, 200, 100, (100, 200))
        assert (cpu.periods, cpu.throttled_periods, cpu.throttled_time) == (4, 2, 99)
        memory = usage.memory(group)
        assert (memory.usage, memory.peak, memory.limit, memory.failures) == (4096, 8192, None, 3)
        assert memory.details == {"cache": 1, "rss": 2}
        assert usage.pids(group) == usage.PidsUsage(5, None)
        assert usage.oom_kills(group) == 2
        moved = {(u.operation, u.bytes) for u in usage.block_devices(group)}
        assert moved == {("read", 512), ("write", 1024)}

    def test_of_v2(self, unified: Hierarchies) -> None:
        group = unified.group("/a")
        write(
            group,
            UNIFIED,
            cpu__stat="usage_usec 300\nuser_usec 200\nsystem_usec 100\nnr_throttled 2\n",
            memory__current="4096\n",
            memory__max="65536\n",
            memory__events="low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n",
            memory__stat="anon 1\nfile 2\n",
            pids__current="5\n",
            pids__max="64\n",
            io__stat="8:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n",
        )
        assert usage.cpu(group).total == 300_000
        memory = usage.memory(group)
        assert (memory.usage, memory.limit, memory.failures) == (4096, 65536, 7)
        assert usage.oom_kills(group) == 1
        assert usage.pids(group) == usage.PidsUsage(5, 64)
        assert [(u.operation, u.bytes, u.operations) for u in usage.block_devices(group)] == [
            ("read", 512, 1),
            ("write", 1024, 2),
        ]

    def test_of_a_group_that_is_gone_is_nothing(self, mixed: Hierarchies) -> None:
        group = mixed.group("/gone")
        assert usage.cpu(group) == usage.CpuUsage()
        assert usage.memory(group) == usage.MemoryUsage()
        assert usage.pids(group) == usage.PidsUsage()
        assert usage.block_devices(group) == []
        assert usage.oom_kills(group) == 0
