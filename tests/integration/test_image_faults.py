"""A load that is killed, or whose disk fails, leaves the old library or the new one."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_box import Box, Layout, Pipe, docker_archive, large_layer, layer, tar_of
from lading.errors import LadingError
from lading.image import archive
from lading.snapshot.choose import DRIVERS, probe
from lading.snapshot.sweep import clear

CHILD = Path(__file__).parent.parent / "image_child.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHILD.parent)}
CHANGES = "pwrite64,fsync,fdatasync,rename,link,linkat,unlink,mkdir"
NAMES = ["one:1", "two:1"]


def both() -> bytes:
    """Two images, one of them in the layout of old with a bare tar."""
    layout = Layout()
    layout.root(layout.image([large_layer("a"), layer("b")]), "docker.io/library/one:1")
    second = docker_archive([layer("c")], ["two:1"])
    return tar_of({**layout.members, "index.json": layout.index, **second})


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "archive.tar"
    path.write_bytes(both())
    return path


@pytest.fixture(params=["copying", "erofs"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if os.geteuid() != 0 and request.param != "copying":
        pytest.skip("needs root")
    if why := probe(tmp_path / "probe")[request.param]:
        pytest.skip(why)
    return str(request.param)


@pytest.fixture
def whole(tmp_path: Path, driver: str) -> set[str]:
    """What is kept when all went well."""
    box = Box(tmp_path / "whole", DRIVERS[driver])
    archive.load(box.library, io.BytesIO(both()))
    box.close()
    return box_contents(tmp_path / "whole", driver)


def box_contents(root: Path, driver: str) -> set[str]:
    """What is there after a start."""
    clear(root / "layers", root / "containers")
    for folder in ("staging", "trash"):
        shutil.rmtree(root / folder, ignore_errors=True)
    box = Box(root, DRIVERS[driver])
    box.library.open()
    try:
        found = box.contents()
        for layer in box.snapshotter.layers():
            assert box.snapshotter.damage(layer, thoroughly=True) == ""
        for row in box.library.list():
            assert row.damage == ""
            assert archive.save(box.library, [str(row.id)], io.BytesIO()) is None
    finally:
        box.close()
    return found


def child(root: Path, tar: Path, driver: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, str(CHILD), str(root), str(tar), driver)
    command = ("strace", "-f", "-qq", f"--trace={CHANGES}", *options, *program)
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def points(root: Path, tar: Path, driver: str) -> list[tuple[str, int]]:
    """What a load changes by system calls: each one's name, and the how-many-eth it is."""
    log = root.with_suffix(".log")
    done = child(root, tar, driver, "-o", str(log))
    assert done.stdout.split() == ["open", "loaded"], done.stderr
    counts: Counter[str] = Counter(
        found[1]
        for line in log.read_text().splitlines()
        if (found := re.match(r"\d+ +(\w+)\(", line))
    )
    return [(name, n + 1) for name, count in counts.items() for n in range(count)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO"])
def test_a_load_that_ends_early_is_not_half_done(
    tar: Path, whole: set[str], tmp_path: Path, driver: str, fault: str
) -> None:
    seen: set[frozenset[str]] = set()
    tried = [(name, n) for name, n in points(tmp_path / "first", tar, driver) if name != "mkdir"]
    for name, nth in tried[:: 1 + len(tried) // 24]:
        root = tmp_path / f"{name}-{nth}"
        done = child(root, tar, driver, "-o", "/dev/null", f"--inject={name}:{fault}:when={nth}")
        if "open" not in done.stdout:
            continue  # there was no library yet
        found = box_contents(root, driver)
        assert found in (set(), whole), (name, nth)
        assert "loaded" not in done.stdout or found == whole
        seen.add(frozenset(found))
        shutil.rmtree(root)
    assert len(seen) == 2  # or the faults hit nothing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_an_error_and_the_space_comes_back(small_disk: Path) -> None:
    box = Box(small_disk)
    archive.load(box.library, io.BytesIO(tar_of(docker_archive([layer()], ["kept:1"]))))
    before, free = box.contents(), shutil.disk_usage(small_disk).free
    large = layer("large", os.urandom(4 << 20))
    with pytest.raises(OSError) as raised:
        archive.load(box.library, io.BytesIO(tar_of(docker_archive([large]))))
    assert raised.value.errno == errno.ENOSPC
    assert box.contents() == before
    assert free - shutil.disk_usage(small_disk).free < 64 * 1024
    archive.load(box.library, io.BytesIO(tar_of(docker_archive([large_layer()], ["next:1"]))))
    assert {tag for row in box.library.list() for tag in row.tags} == {"kept:1", "next:1"}
    box.close()


def test_a_pipe_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Pipe):
        def read(self, size: int = -1) -> bytes:
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError("the client went away")
            return piece

    box = Box(tmp_path)
    content = both()
    for end in (100, 700, len(content) // 2, len(content) - 20_000):
        with pytest.raises((ConnectionResetError, LadingError)):
            archive.load(box.library, io.BufferedReader(Broken(content[:end])))
        assert box.contents() == set()
    box.close()


def test_many_loads_and_removals_at_once_leave_whole_images(tmp_path: Path) -> None:
    box = Box(tmp_path)
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for turn in range(6):
                archive.load(box.library, io.BytesIO(both()))
                if (n + turn) % 2:
                    box.library.prune({"dangling": ["false"]}, lambda image: ())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    archive.load(box.library, io.BytesIO(both()))
    for name in NAMES:
        archive.save(box.library, [name], io.BytesIO())
    box.library.prune({"dangling": ["false"]}, lambda image: ())
    assert box.contents() == set()
    box.close()
