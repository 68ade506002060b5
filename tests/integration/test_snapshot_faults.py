"""A snapshotter that is killed, or whose disk fails, leaves the old state or the new one.

Every system call that changes something is made the last one in turn, and then every one
that can fail is made to fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.oci.digest import Digest
from lading.snapshot.choose import DRIVERS, probe
from lading.snapshot.erofs import DamagedLayer
from lading.snapshot.protocol import SnapshotNotFound
from lading.snapshot.trash import at_once
from snapshot_host import Host
from tarball import Tarball

CHILD = Path(__file__).parent.parent / "snapshot_child.py"
CHANGES = (
    "mkdir,mkdirat,write,writev,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,"
    "unlinkat,rmdir,link,linkat,symlinkat,mknodat,fchmod,fchmodat,fchown,fchownat,setxattr,"
    "fsetxattr,utimensat,ftruncate,sync_file_range,mount,umount2,move_mount,copy_file_range"
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHILD.parent)}
FAILING = ("write", "pwrite64", "fsync", "syncfs", "rename", "mkdir", "mkdirat", "ftruncate")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")


@pytest.fixture(params=list(DRIVERS))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    why = probe(tmp_path)[request.param]
    if why:
        pytest.skip(why)
    made = Host(tmp_path, lambda layers, active: DRIVERS[request.param](layers, active, at_once))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "layer.tar"
    made = Tarball().directory("./", 0o711).directory("d").file("d/f", b"content" * 100)
    path.write_bytes(made.symlink("l", "d/f").whiteout("gone").link("hard", "d/f").content)
    return path


def child(host: Host, *jobs: str, fault: str | None = None, log: Path | None = None) -> int:
    """Run the jobs under the *fault*; the exit status, negative when they were killed."""
    program = [sys.executable, str(CHILD), host.driver.name, str(host.place), *jobs]
    inject = [f"--inject={fault}"] if fault else []
    command = ["strace", "-f", "-qq", "-o", str(log or "/dev/null"), f"--trace={CHANGES}", *inject]
    return subprocess.run(
        [*command, *program], env=ENVIRONMENT, capture_output=True, check=False
    ).returncode


def calls(host: Host, *jobs: str) -> list[tuple[str, int]]:
    """What the jobs change by system calls: each one's name, and the how-many-eth it is."""
    log = host.place / "strace.log"
    assert child(host, *jobs, log=log) == 0
    counts: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        found = re.match(r"\d+ +([a-z0-9_]+)\(", line)
        if found:
            counts[found[1]] += 1
    return [(name, n + 1) for name, count in counts.items() for n in range(count)]


def sees(host: Host, layer: Digest) -> None:
    with host.viewed([layer]) as root:
        assert (root / "d/f").read_bytes() == b"content" * 100
        assert (root / "hard").stat().st_nlink == 2
        assert root.stat().st_mode & 0o777 == 0o711


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def test_killed_while_adding(host: Host, tar: Path) -> None:
    layer = Digest.of(tar.read_bytes())
    points = calls(host, f"add={tar}")
    assert len(points) >= 8
    host.driver.remove(layer)
    for name, nth in points:
        child(host, f"add={tar}", fault=f"{name}:signal=KILL:when={nth}")
        host.restart()
        assert set(host.driver.layers()) <= {layer}
        assert host.litter() == []
        if host.driver.location(layer) is not None:
            sees(host, layer)
        else:
            assert files(host.layers) == []
        host.driver.remove(layer)
        assert files(host.layers) == []
    host.add(tar.read_bytes())
    sees(host, layer)


def test_killed_while_preparing(host: Host, tar: Path) -> None:
    (layer,) = host.add(tar.read_bytes())
    points = calls(host, "prepare=c")
    host.driver.remove("c")
    for name, nth in points:
        child(host, "prepare=c", fault=f"{name}:signal=KILL:when={nth}")
        host.restart()
        assert host.litter() == []
        try:
            host.driver.mounts("c")
        except SnapshotNotFound:
            assert list(host.active.iterdir()) == []
            host.driver.prepare("c", [layer])
        with host.mounted("c") as root:
            assert (root / "d/f").exists()
            assert host.changes() == []
        host.driver.remove("c")
        assert list(host.active.iterdir()) == []


def test_killed_while_removing(host: Host, tar: Path) -> None:
    def make() -> Digest:
        (layer,) = host.add(tar.read_bytes())
        with host.viewed([layer]):
            pass
        host.driver.prepare("c", [layer])
        return layer

    jobs = ("remove=c", f"drop={make()}")
    for name, nth in calls(host, *jobs):
        layer = make()
        child(host, *jobs, fault=f"{name}:signal=KILL:when={nth}")
        host.restart()
        assert host.litter() == []
        host.driver.remove("c")
        host.driver.remove(layer)
        assert list(host.active.iterdir()) == []
        assert files(host.layers) == []


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_failing_while_adding(host: Host, tar: Path, error: str) -> None:
    layer = Digest.of(tar.read_bytes())
    points = [(name, nth) for name, nth in calls(host, f"add={tar}") if name in FAILING]
    host.driver.remove(layer)
    failed = 0
    for name, nth in points:
        status = child(host, f"add={tar}", fault=f"{name}:error={error}:when={nth}")
        failed += status != 0
        if host.driver.location(layer) is None:
            assert files(host.layers) == [], (name, nth)
        else:  # after the rename: there, and not acknowledged
            assert status == 0 or name in ("fsync", "rename")
            sees(host, layer)
        host.driver.remove(layer)
    assert failed >= 4
    host.add(tar.read_bytes())
    sees(host, layer)


def test_a_layer_cut_short_is_noticed_and_mended(host: Host, tar: Path) -> None:
    if host.driver.name != "erofs":
        pytest.skip("unpacked layers have no such files")
    layer = Digest.of(tar.read_bytes())
    for name, cut in (("layer.tar", 1024), ("layer.erofs", 512), ("layer.json", 3)):
        host.add(tar.read_bytes())
        location = host.driver.location(layer)
        assert location is not None
        os.truncate(location / name, cut)
        host.restart(reboot=True)
        assert host.driver.location(layer) is None
        with pytest.raises(DamagedLayer, match=f"{layer} is damaged"):
            host.driver.prepare("c", [layer])
        host.add(tar.read_bytes())
        sees(host, layer)


def test_an_index_with_a_flipped_bit_is_noticed(host: Host, tar: Path) -> None:
    if host.driver.name != "erofs":
        pytest.skip("unpacked layers have no such files")
    (layer,) = host.add(tar.read_bytes())
    location = host.driver.location(layer)
    assert location is not None
    content = bytearray((location / "layer.erofs").read_bytes())
    content[1600] ^= 1
    (location / "layer.erofs").write_bytes(content)
    with pytest.raises(DamagedLayer, match="the index has other bytes"):
        host.driver.prepare("c", [layer])


@pytest.mark.parametrize("name", ["layer.erofs", "layer.json"])
def test_an_index_is_made_anew_from_its_tar(host: Host, tar: Path, name: str) -> None:
    if host.driver.name != "erofs":
        pytest.skip("unpacked layers have no such files")
    (layer,) = host.add(tar.read_bytes())
    location = host.driver.location(layer)
    assert location is not None
    before = (location / "layer.erofs").read_bytes()
    (location / name).unlink()
    assert host.driver.damage(layer)
    assert host.driver.mend(layer)
    assert host.driver.damage(layer, thoroughly=True) == ""
    assert (location / "layer.erofs").read_bytes() == before
    sees(host, layer)


def test_a_tar_that_was_written_to_is_noticed(host: Host, tar: Path) -> None:
    if host.driver.name != "erofs":
        pytest.skip("unpacked layers have no such files")
    (layer,) = host.add(tar.read_bytes())
    location = host.driver.location(layer)
    assert location is not None
    os.utime(location / "layer.tar")
    assert host.driver.damage(layer) == ""  # the same bytes, copied with the root perhaps
    with (location / "layer.tar").open("r+b") as file:
        file.seek(2000)
        file.write(b"other")
    assert host.driver.damage(layer) == "the tar has other bytes"
    assert not host.driver.mend(layer)
    with pytest.raises(DamagedLayer, match="the tar has other bytes"):
        host.driver.prepare("c", [layer])
    host.add(tar.read_bytes())
    sees(host, layer)
