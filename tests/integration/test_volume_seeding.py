"""Volumes over real snapshots: filled from images, shown in part, removed with all mounts."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from container_host import ContainerHost
from lading.linux import mounts
from lading.linux.namespaces import apart
from lading.volume.subpaths import SubpathNotFound
from lading.volume.values import MountPoint, Volume
from lading.volume.volumes import VolumeInUse
from tarball import Tarball
from trees import shown

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
ROUNDS = 3000
SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(path) for path in sys.argv[1:])
print("swapping", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""


@pytest.fixture(params=["erofs", "overlay", "copying"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ContainerHost]:
    made = ContainerHost(tmp_path, request.param)
    try:
        yield made
    finally:
        made.close()
        below = str(tmp_path) + "/"
        assert [e.target for e in mounts.table() if str(e.target).startswith(below)] == []


def everything() -> Tarball:
    tar = Tarball().directory("srv", 0o2750, uid=3, gid=4, xattrs={"user.colour": "red"})
    tar.file("srv/tool", b"x" * 5000, 0o4755, uid=1, gid=2)
    tar.file("srv/able", b"able", 0o755, xattrs={"security.capability": CAPABILITY})
    tar.link("srv/same", "srv/tool").symlink("srv/out", "/etc/shadow").fifo("srv/fifo")
    tar.device("srv/null", 1, 3).directory("srv/deep", 0o1777).file("srv/deep/odd \udcff", b"odd")
    return tar.symlink("away", "/../../../../etc").symlink("inside", "/srv")


class TestSeeding:
    def test_brings_everything_that_files_have(self, host: ContainerHost) -> None:
        container = host.container(host.image(everything()))
        root = host.root(container)
        volume = host.volumes.create("data")
        host.volumes.seed(volume, root, "/srv")
        assert shown(volume.path) == shown(root / "srv")

    def test_keeps_hard_links_of_several_layers_apart(self, host: ContainerHost) -> None:
        lower = Tarball().directory("srv").file("srv/a", b"a").link("srv/a2", "srv/a")
        upper = Tarball().directory("srv").file("srv/b", b"b").link("srv/b2", "srv/b")
        container = host.container(host.image(lower))
        (host.root(container) / "srv").stat()
        layers = [host.image(lower).diff_ids[0], host.image(upper, "other").diff_ids[0]]
        host.snapshotter.prepare("both", layers)
        place = host.settings.root / "both"
        place.mkdir()
        mounts.perform(host.snapshotter.mounts("both"), place)
        volume = host.volumes.create("data")
        host.volumes.seed(volume, place, "/srv")
        found = {path.name: path.read_text() for path in volume.path.iterdir()}
        assert found == {"a": "a", "a2": "a", "b": "b", "b2": "b"}
        assert os.path.samefile(volume.path / "a", volume.path / "a2")
        assert not os.path.samefile(volume.path / "a", volume.path / "b")

    def test_goes_through_links_inside_the_image_only(self, host: ContainerHost) -> None:
        container = host.container(host.image(everything()))
        root = host.root(container)
        led, away = host.volumes.create("led"), host.volumes.create("away")
        host.volumes.seed(led, root, "/inside")
        host.volumes.seed(away, root, "/away")
        assert (led.path / "able").read_text() == "able"
        assert list(away.path.iterdir()) == []

    def test_happens_as_a_container_is_loaded(self, host: ContainerHost) -> None:
        with host.stowage.claimed([MountPoint("volume", "/srv")]) as points:
            container = host.container(host.image(everything()), *points)
        with ExitStack() as undo:
            (mount,) = host.stowage.load(container.mounts, host.root(container), undo, fill=True)
            assert (Path(mount.source) / "able").read_text() == "able"
            assert mount.destination == "/srv"

    def test_can_be_declined(self, host: ContainerHost) -> None:
        point = MountPoint("volume", "/srv", name="data", no_copy=True)
        with host.stowage.claimed([point]) as points:
            container = host.container(host.image(everything()), *points)
        with ExitStack() as undo:
            host.stowage.load(container.mounts, host.root(container), undo, fill=True)
        assert list(host.volumes.get("data").path.iterdir()) == []


class TestUse:
    def test_a_volume_of_a_container_stays(self, host: ContainerHost) -> None:
        with host.stowage.claimed([MountPoint("volume", "/srv", name="data")]) as points:
            with pytest.raises(VolumeInUse, match="that is being created"):
                host.volumes.remove("data", users=host.stowage.users)
            container = host.container(host.image(everything()), *points)
        with pytest.raises(VolumeInUse, match=f"remove data: volume is in use - .{container.id}."):
            host.volumes.remove("data", users=host.stowage.users)
        assert host.volumes.prune({"all": ["1"]}, users=host.stowage.users) == ([], 0)

    def test_an_anonymous_one_stays_while_its_container_is_made(self, host: ContainerHost) -> None:
        with host.stowage.claimed([MountPoint("volume", "/srv")]) as (point,):
            assert host.volumes.prune({}, users=host.stowage.users) == ([], 0)
            assert host.volumes.get(point.name or "").anonymous

    def test_what_a_failed_creation_made_goes(self, host: ContainerHost) -> None:
        host.volumes.create("before")
        points = [MountPoint("volume", f"/{name}", name=name) for name in ("before", "made")]
        with pytest.raises(ValueError, match="failed"), host.stowage.claimed(points):
            raise ValueError("failed")
        assert [volume.name for volume in host.volumes.list()] == ["before"]

    def test_anonymous_volumes_go_with_their_container(self, host: ContainerHost) -> None:
        points = [MountPoint("volume", "/srv"), MountPoint("volume", "/data", name="data")]
        with host.stowage.claimed(points) as claimed:
            assert len(host.volumes.list()) == 2
        host.stowage.discard(claimed)
        assert [volume.name for volume in host.volumes.list()] == ["data"]


class TestPartsOfVolumes:
    @pytest.fixture
    def host(self, tmp_path: Path) -> Iterator[ContainerHost]:
        made = ContainerHost(tmp_path)
        try:
            yield made
        finally:
            made.close()

    @pytest.fixture
    def volume(self, host: ContainerHost, tmp_path: Path) -> Volume:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/file").write_text("OUTSIDE")
        made = host.volumes.create("data")
        (made.path / "part/deep").mkdir(parents=True)
        (made.path / "part/file").write_text("inside")
        (made.path / "out").symlink_to(tmp_path / "outside")
        (made.path / "up").symlink_to("../../../outside")
        (made.path / "in").symlink_to("part")
        return made

    def test_a_directory_a_file_and_a_link_inside_are_shown(
        self, host: ContainerHost, volume: Volume
    ) -> None:
        host.volumes.mount(volume)
        shown = host.volumes.source(volume, "part")
        (shown / "new").write_text("new")
        assert (volume.path / "part/new").read_text() == "new"
        assert host.volumes.source(volume, "part/file").read_text() == "inside"
        assert (host.volumes.source(volume, "in") / "file").read_text() == "inside"
        host.volumes.release(volume)
        assert not shown.exists()

    @pytest.mark.parametrize("subpath", ["out", "up", "out/file", "missing", "part/file/x", ".."])
    def test_what_leads_out_or_nowhere_is_refused(
        self, host: ContainerHost, volume: Volume, subpath: str
    ) -> None:
        with pytest.raises(SubpathNotFound, match="cannot access path"):
            host.volumes.source(volume, subpath)

    def test_what_is_shown_cannot_be_swapped(
        self, host: ContainerHost, volume: Volume, tmp_path: Path
    ) -> None:
        host.volumes.mount(volume)
        shown = host.volumes.source(volume, "part")
        exchange(volume.path / "part", volume.path / "out")
        assert (shown / "file").read_text() == "inside"

    def test_no_swap_wins(self, host: ContainerHost, volume: Volume) -> None:
        """HOSTILE 56 and 58, as a loop; in a mount table of its own, where mounts are cheap."""
        paths = [str(volume.path / name) for name in ("part", "out")]
        argv = [sys.executable, "-c", SWAPPER, *paths]
        seen = {"inside": 0, "refused": 0}

        def look() -> None:
            for turn in range(ROUNDS):
                try:
                    shown = host.volumes.source(volume, "part")
                except SubpathNotFound:
                    seen["refused"] += 1
                    continue
                assert (shown / "file").read_text() == "inside"
                seen["inside"] += 1
                if turn % 50 == 0:
                    mounts.unmount_below(shown)

        with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
            try:
                assert swapper.stdout
                assert swapper.stdout.readline()
                apart(look)
            finally:
                swapper.kill()
        assert seen["inside"] > ROUNDS // 20
        assert seen["refused"] > ROUNDS // 100

    def test_removal_and_the_next_engine_take_the_mounts_off(
        self, host: ContainerHost, volume: Volume
    ) -> None:
        shown = host.volumes.source(volume, "part")
        host.volumes.open()
        assert not mounts.is_mount(shown)
        shown = host.volumes.source(volume, "part")
        host.volumes.remove("data")
        assert not mounts.is_mount(shown)
        assert list(host.settings.volumes.iterdir()) == []


def exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0
