"""Binds, volumes and tmpfs in a container, on the real runtime."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.runtime import inits
from lading.runtime.mounts import MountPoint
from runtime_box import Box, until


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("content")
    return directory


def test_a_directory_is_shared_both_ways(box: Box, source: Path) -> None:
    mount = MountPoint.bind(str(source), "/data/deep")
    assert (
        box.output("sh", "-c", "cat /data/deep/file; echo x > /data/deep/new", mounts=(mount,))
        == "content"
    )
    assert (source / "new").read_text() == "x\n"


def test_a_file_is_mounted_on_a_file(box: Box, source: Path) -> None:
    mounts = (
        MountPoint.bind(str(source / "file"), "/etc/passwd"),
        MountPoint.bind(str(source / "file"), "/new/place"),
    )
    assert box.output("cat", "/etc/passwd", "/new/place", mounts=mounts) == "contentcontent"


def test_read_only_holds_for_mounts_beneath_as_well(box: Box, source: Path) -> None:
    (source / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "x", str(source / "below")], check=True)
    try:
        mount = MountPoint.bind(str(source), "/data", read_only=True)
        for path in ("/data/new", "/data/below/new"):
            container = box.run("touch", path, mounts=(mount,))
            assert container.wait() != 0
            assert "Read-only" in container.text("stderr")
    finally:
        subprocess.run(["umount", str(source / "below")], check=True)


def test_one_mount_lies_in_another(box: Box, source: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "own").touch()
    mounts = (
        MountPoint.bind(str(inner), "/data/sub/inner"),
        MountPoint.bind(str(source), "/data"),
    )
    assert box.output("ls", "/data/sub/inner", mounts=mounts).split() == ["own"]


def test_a_tmpfs_has_dockers_options_and_those_asked_for(box: Box) -> None:
    mounts = (
        MountPoint.tmpfs("/scratch", ("size=1m", "mode=0700")),
        MountPoint.tmpfs("/run", ("exec",)),
    )
    lines = [line.split() for line in box.output("cat", "/proc/mounts", mounts=mounts).splitlines()]
    options = {fields[1]: set(fields[3].split(",")) for fields in lines}
    assert {"noexec", "nosuid", "nodev", "size=1024k", "mode=700"} <= options["/scratch"]
    assert "noexec" not in options["/run"]
    assert {"nosuid", "nodev"} <= options["/run"]


def test_a_later_mount_of_the_host_is_seen_when_asked_for(box: Box, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "later").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    subprocess.run(["mount", "--make-shared", str(place)], check=True)
    try:
        mounts = (
            MountPoint.bind(str(place), "/slave", propagation="rslave"),
            MountPoint.bind(str(place), "/private"),
        )
        container = box.run("sleep", "60", mounts=mounts, rootfs_propagation="rslave")
        subprocess.run(["mount", "-t", "tmpfs", "x", str(place / "later")], check=True)
        (place / "later/seen").touch()
        assert container.run("ls", "/slave/later") == (0, "seen\n")
        assert container.run("ls", "/private/later") == (0, "")
    finally:
        subprocess.run(["umount", "-l", str(place / "later")], check=False)
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_dev_can_be_mounted_over_in_part(box: Box, source: Path) -> None:
    mount = MountPoint.bind(str(source / "file"), "/dev/mine")
    assert box.output("cat", "/dev/mine", mounts=(mount,)) == "content"
    assert list((box.rootfs / "dev").iterdir()) == []


def test_one_asked_for_replaces_a_default(box: Box, source: Path) -> None:
    mount = MountPoint.bind(str(source), "/dev/shm")
    assert box.output("ls", "/dev/shm", mounts=(mount,)).split() == ["file"]


def test_an_init_reaps_and_passes_signals_on(box: Box) -> None:
    container = box.run(
        "sh", "-c", "trap 'exit 5' TERM; echo $$; while :; do sleep 0.05; done", init=inits.find()
    )
    until(lambda: bool(container.text()))
    assert container.text().strip() != "1"
    container.kill(15)
    assert container.wait() == 5
