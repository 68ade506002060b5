"""The snapshotters' contract, on every driver, on a real kernel."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.snapshotter_contract import SnapshotterContract, layer
from lading.linux.mounts import perform, unmount
from lading.snapshot.copying import Copying
from lading.snapshot.erofs import DamagedLayer, Erofs
from lading.snapshot.overlay import Overlay
from lading.snapshot.protocol import Snapshotter

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting wants root")


class TestOverlay(SnapshotterContract):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Callable[[], Snapshotter]:
        root = tmp_path / "root"
        return lambda: Overlay(root / "layers", root / "containers")


class TestCopying(SnapshotterContract):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Callable[[], Snapshotter]:
        root = tmp_path / "root"
        return lambda: Copying(root / "layers", root / "containers")


class TestErofs(SnapshotterContract):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Callable[[], Snapshotter]:
        root = tmp_path / "root"
        return lambda: Erofs(root / "layers", root / "containers")

    @pytest.mark.parametrize("name", ["layer.tar", "layer.erofs"])
    def test_a_layer_cut_short_is_noticed_and_mended_by_adding_it_again(
        self, snapshotter: Erofs, place: Path, name: str
    ) -> None:
        tar = layer(("f", bytes(100_000)))
        diff_id = snapshotter.add(None, io.BytesIO(tar))
        home = snapshotter.location(diff_id)
        assert home is not None
        os.truncate(home / name, 1024)
        with pytest.raises(DamagedLayer, match="another size"):
            snapshotter.prepare("k", [diff_id])
        snapshotter.add(diff_id, io.BytesIO(tar))
        perform(snapshotter.prepare("k", [diff_id]), place)
        assert (place / "f").read_bytes() == bytes(100_000)
        unmount(place)
        snapshotter.remove("k")

    def test_an_index_with_other_bytes_is_not_mounted(self, snapshotter: Erofs) -> None:
        diff_id = snapshotter.add(None, io.BytesIO(layer(("f", b"x"))))
        home = snapshotter.location(diff_id)
        assert home is not None
        with (home / "layer.erofs").open("r+b") as index:
            index.seek(1540)
            index.write(b"\xff")
        with pytest.raises(DamagedLayer, match="other bytes"):
            snapshotter.prepare("k", [diff_id])

    def test_the_tar_stays_byte_for_byte(self, snapshotter: Erofs) -> None:
        tar = layer(("f", b"x")) + b"what follows the end marker"
        diff_id = snapshotter.add(None, io.BytesIO(tar))
        kept = snapshotter.tar(diff_id)
        assert kept is not None
        assert kept.read_bytes() == tar
