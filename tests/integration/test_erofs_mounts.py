"""Layers are mounted when needed, once for all, and no longer than they are of use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.mounts import perform, table, unmount
from lading.oci.digest import Digest
from lading.snapshot.choose import probe
from lading.snapshot.erofs import Erofs
from lading.snapshot.erofs_mounts import LayerMounts
from lading.snapshot.stacking import overlay
from snapshot_host import Host
from tarball import Tarball


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    why = probe(tmp_path)["erofs"]
    if why:
        pytest.skip(why)
    made = Host(tmp_path, Erofs)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mounts(host: Host, clock: Clock) -> LayerMounts:
    return LayerMounts(host.layers / "erofs", clock)


def mounted(host: Host) -> list[Path]:
    return [e.target for e in table() if e.type == "erofs" and host.layers in e.target.parents]


def test_a_layer_is_mounted_once_for_all(host: Host) -> None:
    (layer,) = host.add(Tarball().file("f"))
    assert mounted(host) == []
    for key in ("a", "b", "c"):
        host.driver.prepare(key, [layer])
    with host.mounted("a"), host.mounted("b"):
        assert len(mounted(host)) == 1
        host.restart()
        with host.mounted("c"):
            assert len(mounted(host)) == 1


def test_one_that_nothing_stacks_is_unmounted_after_a_while(
    host: Host, mounts: LayerMounts, clock: Clock
) -> None:
    idle, used = host.add(Tarball().file("idle"), Tarball().file("used"))
    lowers = [mounts.at(layer, lambda: None) for layer in (idle, used)]
    root = host.place / "stacked"
    root.mkdir()
    perform((overlay([host.place, lowers[1]], "ro"),), root)
    for _ in range(10):
        clock.now += 100
        mounts.tidy()
    assert [target.parent.name for target in mounted(host)] == [used.hex]
    assert (root / "used").exists()
    unmount(root)
    clock.now += 1000
    mounts.tidy()
    assert mounted(host) == []
    mounts.at(idle, lambda: None)
    assert len(mounted(host)) == 1


def test_a_mount_of_an_engine_before_is_known(
    host: Host, mounts: LayerMounts, clock: Clock
) -> None:
    (layer,) = host.add(Tarball().file("f"))
    where = mounts.at(layer, lambda: None)
    again = LayerMounts(host.layers / "erofs", clock)
    assert again.at(layer, lambda: pytest.fail("it is mounted already")) == where
    assert len(mounted(host)) == 1
    again.drop(layer)
    again.drop(layer)
    assert mounted(host) == []


def test_removing_a_layer_in_use_leaves_its_containers_alone(host: Host) -> None:
    with host.container(Tarball().file("f", b"content" * 1000)) as root:
        host.driver.remove(Digest.parse(f"sha256:{mounted(host)[0].parent.name}"))
        assert mounted(host) == []
        assert (root / "f").read_bytes() == b"content" * 1000


def test_a_failed_check_mounts_nothing(host: Host, mounts: LayerMounts) -> None:
    (layer,) = host.add(Tarball().file("f"))

    def refuse() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        mounts.at(layer, refuse)
    assert mounted(host) == []
