"""The contract of `lading.snapshot.protocol.Snapshotter`, kept by every driver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from snapshotter_contract import SnapshotterContract, base

from lading.errors import Invalid, Unsupported
from lading.settings import Settings
from lading.snapshot.choose import DRIVERS, choose, probe
from lading.snapshot.joined import joined
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.trash import at_once
from snapshot_host import Host


@pytest.fixture(scope="session")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return probe(tmp_path_factory.mktemp("probe"))


def opened(name: str) -> Callable[[Path, Path], Snapshotter]:
    return lambda layers, active: DRIVERS[name](layers, active, at_once)


class _Driver(SnapshotterContract):
    name = ""

    def make(self, place: Path) -> Callable[[Path, Path], Snapshotter]:
        return opened(self.name)

    @pytest.fixture
    def host(self, tmp_path: Path, failures: dict[str, str]) -> Iterator[Host]:
        if failures[self.name]:
            pytest.skip(f"{self.name}: {failures[self.name]}")
        made = Host(tmp_path, self.make(tmp_path))
        try:
            yield made
        finally:
            made.close()


class TestErofs(_Driver):
    name = "erofs"


class TestOverlay(_Driver):
    name = "overlay"


class TestCopying(_Driver):
    name = "copying"


class TestErofsOnLoopDevices(TestErofs):
    """As on kernels that mount no files: tmpfs does not let its files be mounted on any."""

    @pytest.fixture
    def tmp_path(self) -> Iterator[Path]:
        made = Path(f"/dev/shm/lading-contract-{os.getpid()}")
        made.mkdir()
        try:
            yield made
        finally:
            shutil.rmtree(made)


class TestJoined(_Driver):
    """The default in front of the others, as on a root whose default has changed."""

    name = "erofs"

    def make(self, place: Path) -> Callable[[Path, Path], Snapshotter]:
        def make(layers: Path, active: Path) -> Snapshotter:
            return joined([opened(name)(layers, active) for name in DRIVERS], active)

        return make


class TestAnotherDefault:
    """A root whose default driver changes."""

    @pytest.mark.parametrize("before", ["overlay", "copying", "erofs"])
    @pytest.mark.parametrize("after", ["overlay", "copying", "erofs"])
    def test_keeps_what_the_old_one_made(
        self, tmp_path: Path, failures: dict[str, str], before: str, after: str
    ) -> None:
        if failures[before] or failures[after]:
            pytest.skip("not here")
        settings = Settings(root=tmp_path, snapshotter=before)

        def make(layers: Path, active: Path) -> Snapshotter:
            return choose(settings).snapshotter

        host = Host(tmp_path, make)
        try:
            with host.container(base()) as root:
                (root / "new").write_bytes(b"x")
            settings = Settings(root=tmp_path, snapshotter=after)
            host.restart(reboot=True)
            assert host.driver.name == after
            with host.mounted("c") as root:
                assert (root / "new").read_bytes() == b"x"
                assert host.changes() == [(b"new", "A")]
            with host.container(base(), key="other") as root:
                assert (root / "sh").exists()
            for key in ("c", "other", *host.driver.layers()):
                host.driver.remove(key)
            assert list(host.driver.layers()) == []
            assert list(host.active.iterdir()) == []
        finally:
            host.close()


class TestChoose:
    def test_says_why(self, tmp_path: Path, failures: dict[str, str]) -> None:
        choice = choose(Settings(root=tmp_path))
        assert choice.snapshotter.name == next(n for n in DRIVERS if not failures[n])
        assert choice.reason
        assert choose(Settings(root=tmp_path, snapshotter="copying")).reason == "it was asked for"

    def test_what_does_not_work_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = {"erofs": "no such device", "overlay": "", "copying": ""}
        monkeypatch.setattr("lading.snapshot.choose.probe", lambda root: found)
        choice = choose(Settings(root=tmp_path))
        assert choice.snapshotter.name == "overlay"
        assert choice.reason == "erofs does not work here: no such device"
        with pytest.raises(Unsupported, match="erofs does not work here: no such device"):
            choose(Settings(root=tmp_path, snapshotter="erofs"))

    def test_an_unknown_one_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="unknown snapshotter 'zfs'"):
            choose(Settings(root=tmp_path, snapshotter="zfs"))
