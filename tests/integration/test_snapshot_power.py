"""Layers that were acknowledged are there after a power cut, whole.

The root is an ext4 in a file; a power cut is a copy of that file while the writer is held.
A control run that makes nothing durable must lose layers, or the test would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lading.oci.digest import Digest
from lading.snapshot.choose import DRIVERS, probe
from lading.snapshot.protocol import KeepsTars, LayerNotFound
from lading.snapshot.trash import at_once
from power import cut
from snapshot_child import flood_tar
from snapshot_host import Host
from tarball import Tarball

CHILD = Path(__file__).parent.parent / "snapshot_child.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHILD.parent)}
CUTS = 6


@pytest.fixture
def disk() -> Iterator[Path]:
    """The file that is the disk, on tmpfs: what is in it survives, what is in caches does not."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not here")
    folder = Path("/dev/shm") / f"lading-power-{os.getpid()}"
    folder.mkdir()
    try:
        disk = folder / "disk"
        with disk.open("wb") as file:
            file.truncate(192 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        yield disk
    finally:
        shutil.rmtree(folder)


@contextmanager
def mounted(disk: Path, target: Path) -> Iterator[Path]:
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


@contextmanager
def writing(disk: Path, place: Path, driver: str, *jobs: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that adds layers on the disk and says so, for as long as the context lasts."""
    with mounted(disk, place / "before") as root:
        command = [sys.executable, str(CHILD), driver, str(root / "lading"), *jobs, "flood=900"]
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            os.set_blocking(child.stdout.fileno(), False)
            try:
                yield child
            finally:
                child.kill()


@contextmanager
def after_a_cut(
    child: subprocess.Popen[bytes], disk: Path, place: Path, driver: str
) -> Iterator[tuple[Host, list[int]]]:
    """The root as a power cut leaves it, and the numbers acknowledged since the last one."""
    time.sleep(0.3)
    child.send_signal(signal.SIGSTOP)
    assert child.stdout is not None
    said = (child.stdout.read() or b"").decode().split()
    copy = cut(disk)
    child.send_signal(signal.SIGCONT)
    with mounted(copy, place / "after") as root:
        made = root / "lading"
        host = Host(made, lambda layers, active: DRIVERS[driver](layers, active, at_once))
        try:
            host.restart()
            yield host, [int(line) for line in said]
        finally:
            host.close()


def is_whole(host: Host, number: int) -> bool:
    """Whether the layer of that number shows every file of the tar that it is."""
    layer = Digest.of(flood_tar(number))
    if isinstance(host.driver, KeepsTars):
        tar = host.driver.tar(layer)
        if tar is None or Digest.of(tar.read_bytes()) != layer:
            return False
    try:
        with host.viewed([layer]) as root:
            files = [(root / f"d/file{n}").read_bytes() for n in range(20)]
            return files == [b"%d.%d " % (number, n) * (n * n * 8) for n in range(20)]
    except (LayerNotFound, OSError):
        return False


@pytest.mark.parametrize("driver", list(DRIVERS))
class TestPowerCut:
    def test_acknowledged_layers_are_whole(self, disk: Path, tmp_path: Path, driver: str) -> None:
        why = probe(tmp_path)[driver]
        if why:
            pytest.skip(why)
        acknowledged = 0
        with writing(disk, tmp_path, driver) as child:
            for _ in range(CUTS):
                with after_a_cut(child, disk, tmp_path, driver) as (host, numbers):
                    acknowledged += len(numbers)
                    assert host.litter() == []
                    assert len(list(host.driver.layers())) >= acknowledged
                    assert all(is_whole(host, number) for number in numbers[-8:])
                    late = Digest.of(flood_tar(acknowledged))  # kept, perhaps, and not said
                    if late in host.driver.layers():
                        assert is_whole(host, acknowledged)
                    host.add(Tarball().file("more"))
        assert acknowledged > CUTS

    def test_without_flushing_they_are_lost(self, disk: Path, tmp_path: Path, driver: str) -> None:
        why = probe(tmp_path)[driver]
        if why:
            pytest.skip(why)
        with writing(disk, tmp_path, driver, "unsafe") as child:
            for _ in range(CUTS):
                with after_a_cut(child, disk, tmp_path, driver) as (host, numbers):
                    if not all(is_whole(host, number) for number in numbers[-5:]):
                        return
        raise AssertionError("nothing was lost: this emulates no power cut")
