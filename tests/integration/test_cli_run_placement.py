"""Flags of run that say where a container is: its groups, namespaces, devices' limits, runtime."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_story import Story
from lading.linux.cgroups import Hierarchies, Layout

HIERARCHIES = Hierarchies.read()
OLD = HIERARCHIES.layout is not Layout.UNIFIED
BLOCK = HIERARCHIES.block_limits()
GROUPS = "cat /proc/self/cgroup"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device of the test's own, of 8 MB that nobody has read yet."""
    file = tmp_path / "disk"
    file.write_bytes(os.urandom(8 << 20))
    losetup = ["losetup", "--find", "--show", str(file)]
    device = subprocess.run(losetup, capture_output=True, text=True, check=True).stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


def numbers(device: str) -> str:
    found = os.stat(device).st_rdev
    return f"{os.major(found)}:{os.minor(found)}"


@pytest.mark.parametrize(
    ("flag", "field", "value", "old", "new"),
    [
        ("--device-read-bps", "blkio_device_read_bps", "1mb", "read_bps", "rbps=1048576"),
        ("--device-write-bps", "blkio_device_write_bps", "2mb", "write_bps", "wbps=2097152"),
        ("--device-read-iops", "blkio_device_read_iops", "70", "read_iops", "riops=70"),
        ("--device-write-iops", "blkio_device_write_iops", "80", "write_iops", "wiops=80"),
    ],
)
def test_a_device_gives_no_more_than_that(
    lading: Story, disk: str, flag: str, field: str, value: str, old: str, new: str
) -> None:
    if field not in BLOCK:
        pytest.skip("this kernel does not limit block devices")
    files = f"/sys/fs/cgroup/blkio/blkio.throttle.{old}_device /sys/fs/cgroup/io.max"
    told = lading.shell(f"cat {files} 2>/dev/null; :", flag, f"{disk}:{value}")
    expected = new.partition("=")[2] if OLD else new
    assert numbers(disk) in told
    assert expected in told


def test_a_limit_on_reading_slows_reading_down(lading: Story, disk: str) -> None:
    if "blkio_device_read_bps" not in BLOCK:
        pytest.skip("this kernel does not limit block devices")
    limit = ("--device", disk, "--device-read-bps", f"{disk}:1mb")
    read = f"dd if={disk} of=/dev/null bs=64k count=24 2>/dev/null"
    now = "cut -d' ' -f1 /proc/uptime"
    began, ended = map(float, lading.shell(f"{now}; {read}; {now}", *limit).split())
    assert ended - began > 0.7  # 1.5 MB at 1 MB a second


def test_a_device_that_is_none_is_refused(lading: Story) -> None:
    refused = lading("run", "--device-read-bps", "/dev/null:1mb", "busybox", check=125).stderr
    assert "/dev/null" in refused and "not a block device" in refused
    wrong = lading("run", "--device-write-iops", "/dev/null:x", "busybox", check=125).stderr
    assert "number must be a positive integer" in wrong
    light = lading("run", "--blkio-weight-device", "/dev/null:5", "busybox", check=125).stderr
    assert "invalid weight for device" in light


def test_below_another_group(lading: Story) -> None:
    parent = f"test-parent-{os.getpid()}"
    try:
        own = lading.out(
            *("run", "-d", "--cgroupns", "host", "--cgroup-parent", f"/{parent}/deep"),
            *("-m", "32m", "--name", "deep", "busybox", "sleep", "1000"),
        )
        assert f"/{parent}/deep/{own}" in lading.out("exec", "deep", "cat", "/proc/1/cgroup")
        memory = "{{.MemUsage}}"
        shown = lading.out("stats", "--no-stream", "--format", memory, "deep")
        assert shown.endswith("/ 32MiB")
        lading("pause", "deep")
        lading("unpause", "deep")
        lading.daemon.kill()
        lading.daemon.start()
        assert "sleep 1000" in lading.out("top", "deep")
        lading("rm", "-f", "deep")
        assert not any((d / own).exists() for d in groups(parent, "deep"))
    finally:
        for directory in [*groups(parent, "deep"), *groups(parent)]:
            directory.rmdir()


def groups(*parts: str) -> list[Path]:
    found = [root.joinpath(*parts) for root in HIERARCHIES.directories()]
    return [directory for directory in found if directory.is_dir()]


@pytest.mark.parametrize("parent", ["/../x", "a/../../b", "/lading-x/y", "/a/./b"])
def test_a_group_that_leads_elsewhere_is_refused(lading: Story, parent: str) -> None:
    refused = lading("run", "--cgroup-parent", parent, "busybox", check=125).stderr
    assert "invalid cgroup parent" in refused


def test_its_own_view_of_its_groups_or_the_hosts(lading: Story) -> None:
    own = lading.shell(GROUPS, "--cgroupns", "private")
    assert all(line.endswith(":/") for line in own.splitlines())
    hosts = lading.shell(GROUPS, "--cgroupns", "host")
    assert "lading-" in hosts


def test_no_shared_memory_at_all(lading: Story) -> None:
    assert lading.shell("ls -d /dev/shm 2>&1 || true", "--ipc", "none").endswith(
        "No such file or directory"
    )
    mine = lading.shell("readlink /proc/self/ns/ipc", "--ipc", "none")
    assert mine != os.readlink("/proc/self/ns/ipc")


@pytest.mark.parametrize(("flag", "space"), [("--uts", "uts"), ("--ipc", "ipc"), ("--pid", "pid")])
def test_a_namespace_of_the_hosts(lading: Story, flag: str, space: str) -> None:
    look = f"readlink /proc/self/ns/{space}"
    assert lading.shell(look, flag, "host") == os.readlink(f"/proc/self/ns/{space}")
    assert lading.shell(look) != os.readlink(f"/proc/self/ns/{space}")


def test_users_are_the_hosts(lading: Story) -> None:
    look = "readlink /proc/self/ns/user"
    assert lading.shell(look, "--userns", "host") == os.readlink("/proc/self/ns/user")
    assert "invalid USER mode" in lading("run", "--userns", "x", "busybox", check=125).stderr


def test_what_is_not_to_be_killed_when_memory_runs_out(lading: Story) -> None:
    options = ("--oom-kill-disable", "-m", "32m")
    done = lading(
        "run",
        "--rm",
        *options,
        "busybox",
        "cat",
        "/sys/fs/cgroup/memory/memory.oom_control",
        check=0 if OLD else 1,
    )
    if OLD:
        assert "oom_kill_disable 1" in done.stdout
    else:
        assert "does not support OomKillDisable" in done.stderr


def test_an_annotation_is_told_to_the_runtime(lading: Story) -> None:
    run = ("run", "-d", "--name", "noted", "--annotation", "org.example.note=seen", "busybox")
    own = lading.out(*run, "sleep", "1000")
    bundle = lading.daemon.settings.run_root / "c" / own / "config.json"
    assert '"org.example.note":"seen"' in bundle.read_text().replace(": ", ":")
    assert lading.field("noted", '{{index .HostConfig.Annotations "org.example.note"}}') == "seen"


def test_the_runtime_is_named(lading: Story) -> None:
    name = lading.out("info", "-f", "{{.DefaultRuntime}}")
    assert lading.shell("echo up", "--runtime", name) == "up"
    unknown = lading("run", "--runtime", "other", "busybox", check=125).stderr
    assert "unknown or invalid runtime name: other" in unknown


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"KernelMemory": 1 << 24}, "--kernel-memory"),
        ({"CpuCount": 1}, "it is for Windows alone"),
        ({"StorageOpt": {"size": "1G"}}, "--storage-opt"),
        ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, "--gpus"),
        ({"VolumeDriver": "flocker"}, "--volume-driver"),
        ({"UsernsMode": "auto"}, "--userns"),
        ({"CpuRealtimeRuntime": 1000}, "--cpu-rt-runtime"),
        ({"LogConfig": {"Type": "journald"}}, 'no log driver named "journald" is registered'),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(
    lading: Story, option: dict[str, object], words: str
) -> None:
    asked = {"Image": "busybox", "HostConfig": option}
    answer = lading.daemon.client.post("/containers/create", content=asked)
    assert answer.status >= 400
    assert words in answer.message


def test_an_update_changes_what_can_be_changed_and_refuses_the_rest(lading: Story) -> None:
    lading("run", "-d", "--name", "grows", "-m", "32m", "busybox", "sleep", "1000")
    client = lading.daemon.client
    limits = {"Memory": 64 << 20, "MemorySwap": 128 << 20, "PidsLimit": 44, "CpuShares": 300}
    changed = client.post("/containers/grows/update", content=limits)
    assert (changed.status, changed.json()) == (200, {"Warnings": None}) or changed.json()[
        "Warnings"
    ] in ([], None)
    host = client.get("/containers/grows/json").json()["HostConfig"]
    assert {name: host[name] for name in limits} == limits
    files = "/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"
    assert lading.out("exec", "grows", "sh", "-c", f"cat {files} 2>/dev/null; :") == "44"
    for refused in ({"CgroupParent": "/x"}, {"KernelMemory": 1 << 24}):
        assert client.post("/containers/grows/update", content=refused).status >= 400
