"""Mounts on the real kernel, by the newer way and by mount(2)."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lading.linux import mounts
from lading.linux.mounts import Mount, MountFailed

ODD = "a b:c,d\\e=f\t\n'%"


@pytest.fixture(params=["fsopen", "mount"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "mount":

        def absent(mount: Mount, target: Path) -> None:
            raise MountFailed(mount, target, errno.ENOSYS)

        monkeypatch.setattr(mounts, "_configured", absent)
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    mounts.unmount_below(tmp_path)


def layers(place: Path, count: int) -> list[Path]:
    """Directories with one file each, named by its number, and one that all have."""
    found = []
    for n in range(count):
        layer = place / f"layer-{n}"
        layer.mkdir(parents=True)
        (layer / str(n)).write_text("")
        (layer / "all").write_text(str(n))
        found.append(layer)
    return found


def stacked(place: Path, lowers: Sequence[Path]) -> Path:
    upper, work, merged = (place / name for name in ("upper", "work", "merged"))
    for folder in (upper, work, merged):
        folder.mkdir(parents=True)
    options = [f"lowerdir+={lower}" for lower in reversed(lowers)]
    options += [f"upperdir={upper}", f"workdir={work}", "index=off", "metacopy=off"]
    mounts.perform((Mount("overlay", "overlay", tuple(options)),), merged)
    return merged


@pytest.mark.usefixtures("way")
class TestOverlay:
    def test_128_layers_fit(self, place: Path) -> None:
        merged = stacked(place, layers(place / ("x" * 200), 128))
        assert len(list(merged.iterdir())) == 129
        assert (merged / "all").read_text() == "127"

    def test_names_may_hold_any_character(self, place: Path) -> None:
        merged = stacked(place / ODD, layers(place / ODD, 2))
        (merged / "new").write_text("x")
        assert (place / ODD / "upper" / "new").exists()
        assert mounts.is_mount(merged)

    def test_paths_may_be_longer_than_an_option(self, place: Path) -> None:
        deep = place / ("x" * 200) / ("y" * 200)
        merged = stacked(deep, layers(deep, 2))
        assert (merged / "all").read_text() == "1"

    def test_a_refusal_names_the_reason(self, place: Path) -> None:
        with pytest.raises(MountFailed, match="cannot mount overlay on"):
            stacked(place, [place / "absent"])


def row_of(target: Path) -> list[str]:
    rows = [row.split() for row in Path("/proc/self/mountinfo").read_text().splitlines()]
    return next(row for row in rows if row[4] == str(target))


class TestPerform:
    def test_of_several_leaves_none_when_one_fails(self, place: Path) -> None:
        target = place / "target"
        target.mkdir()
        good, bad = Mount("tmpfs", "x", ("size=64k", "mode=700")), Mount("nonesuch", "x")
        with pytest.raises(MountFailed) as failure:
            mounts.perform((good, bad), target)
        assert failure.value.code == errno.ENODEV
        assert not mounts.is_mount(target)

    def test_attributes_reach_the_mount(self, place: Path) -> None:
        mounts.perform((Mount("tmpfs", "x", ("ro", "nosuid", "nodev", "noexec")),), place)
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(row_of(place)[5].split(","))


class TestBind:
    def test_shows_a_directory_elsewhere(self, place: Path) -> None:
        source, target = place / "source", place / "target"
        source.mkdir()
        target.mkdir()
        mounts.bind(source, target)
        (target / "x").write_text("")
        assert (source / "x").exists()

    def test_read_only_refuses_to_write(self, place: Path) -> None:
        source, target = place / "source", place / "target"
        source.mkdir()
        target.mkdir()
        mounts.bind(source, target, read_only=True)
        with pytest.raises(OSError, match="Read-only"):
            (target / "x").write_text("")

    def test_private_mounts_stay_here(self, place: Path) -> None:
        mounts.bind(place, place)
        mounts.make_private(place)
        assert not any(word.startswith("shared:") for word in row_of(place))


class TestUnmount:
    def test_of_nothing_is_nothing(self, place: Path) -> None:
        mounts.unmount(place)
        mounts.unmount(place / "absent")

    def test_takes_the_topmost(self, place: Path) -> None:
        mounts.perform((Mount("tmpfs", "one"), Mount("tmpfs", "two")), place)
        mounts.unmount(place)
        assert [e.source for e in mounts.table() if e.target == place] == ["one"]

    def test_below_takes_all(self, place: Path) -> None:
        mounts.perform((Mount("tmpfs", "one"),), place)
        (place / "in side").mkdir()
        mounts.perform((Mount("tmpfs", "two"),), place / "in side")
        mounts.unmount_below(place)
        assert not any(str(e.target).startswith(str(place)) for e in mounts.table())
