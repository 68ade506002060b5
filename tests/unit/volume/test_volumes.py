"""Volumes are made once, found again by another engine, and removed only when nobody uses them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lading.errors import Invalid, Unsupported
from lading.events import Bus
from lading.store.database import Database
from lading.volume import seeding
from lading.volume.names import InvalidVolumeName
from lading.volume.values import ANONYMOUS
from lading.volume.volumes import (
    UnknownDriver,
    VolumeInUse,
    VolumeMissing,
    VolumeNotFound,
    Volumes,
)


def opened(root: Path, bus: Bus | None = None) -> Volumes:
    volumes = Volumes(root / "volumes", Database(root / "state.db"), bus or Bus())
    volumes.open()
    return volumes


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return opened(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A root file system with something at /srv."""
    root = tmp_path / "image"
    (root / "srv/deep").mkdir(parents=True)
    (root / "srv/page").write_text("hello")
    (root / "srv/again").hardlink_to(root / "srv/page")
    (root / "srv/deep/link").symlink_to("/etc/shadow")
    (root / "srv").chmod(0o1751)
    os.utime(root / "srv/page", ns=(5, 1_600_000_000_123_456_789))
    return root


def by(*users: str) -> Callable[[str], Sequence[str]]:
    return lambda name: users


class TestMaking:
    def test_a_named_one_is_there_with_its_labels(self, volumes: Volumes) -> None:
        made = volumes.create("web", {"tier": "front"})
        assert volumes.get("web") == made
        assert made.path.is_dir()
        assert dict(made.labels) == {"tier": "front"}
        assert not made.anonymous
        assert made.path.name == "_data"
        assert made.path.stat().st_mode & 0o7777 == 0o755

    def test_the_same_name_answers_what_is_there(self, volumes: Volumes) -> None:
        first = volumes.create("web", {"a": "1"})
        (first.path / "file").write_text("kept")
        assert volumes.create("web", {"b": "2"}) == first
        assert (first.path / "file").read_text() == "kept"

    def test_without_a_name_it_is_anonymous(self, volumes: Volumes) -> None:
        made = volumes.create()
        assert made.anonymous
        assert ANONYMOUS in made.labels
        assert len(made.name) == 64

    @pytest.mark.parametrize("name", ["../../x", "x", "", ".trash-1"])
    def test_a_bad_name_makes_nothing(self, volumes: Volumes, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidVolumeName):
            volumes.create(name)
        assert list((tmp_path / "volumes").iterdir()) == []

    @pytest.mark.parametrize("option", ["type", "o", "device", "size"])
    def test_options_for_the_kernels_mount_are_refused_by_name(
        self, volumes: Volumes, option: str
    ) -> None:
        with pytest.raises(Unsupported, match=f"'{option}'"):
            volumes.create("web", options={option: "x"})
        with pytest.raises(Invalid, match="'colour'"):
            volumes.create("web", options={"colour": "red"})
        assert volumes.list() == []

    def test_there_are_no_drivers_but_local(self, volumes: Volumes) -> None:
        with pytest.raises(UnknownDriver, match='plugin "nfs" not found'):
            volumes.create("web", driver="nfs")
        assert volumes.create("web", driver="default").driver == "local"

    def test_an_engine_that_comes_later_finds_it(self, volumes: Volumes, tmp_path: Path) -> None:
        made = [volumes.create("web", {"a": "1"}), volumes.create()]
        assert opened(tmp_path).list() == sorted(made, key=lambda volume: volume.name)


class TestRemoving:
    def test_takes_everything(self, volumes: Volumes, tmp_path: Path) -> None:
        made = volumes.create("web")
        (made.path / "deep").mkdir()
        volumes.remove("web")
        assert list((tmp_path / "volumes").iterdir()) == []
        with pytest.raises(VolumeNotFound, match="get web: no such volume"):
            volumes.get("web")

    def test_one_in_use_stays(self, volumes: Volumes) -> None:
        volumes.create("web")
        for force in (False, True):
            with pytest.raises(VolumeInUse, match=r"remove web: volume is in use - \[c1, c2\]"):
                volumes.remove("web", force=force, users=by("c1", "c2"))
        assert volumes.get("web").path.is_dir()

    def test_a_missing_one_is_an_error_unless_forced(self, volumes: Volumes) -> None:
        with pytest.raises(VolumeNotFound):
            volumes.remove("web")
        volumes.remove("web", force=True)

    def test_prune_tells_names_and_bytes(self, volumes: Volumes) -> None:
        anonymous, used = volumes.create(), volumes.create()
        volumes.create("web")
        (anonymous.path / "file").write_bytes(b"x" * 1000)
        found = volumes.prune({}, users=lambda name: ["c1"] if name == used.name else [])
        assert found == ([anonymous.name], 1000)
        assert {volume.name for volume in volumes.list()} == {"web", used.name}

    def test_is_told(self, tmp_path: Path) -> None:
        bus = Bus()
        volumes = opened(tmp_path, bus)
        volumes.create("web")
        volumes.create("web")
        volumes.remove("web")
        told = [(event.action, event.actor) for event in bus.history()]
        assert told == [("create", "web"), ("destroy", "web")]


class TestWhatACrashLeaves:
    def test_files_without_a_record_spoil_no_list_and_are_taken_up(
        self, volumes: Volumes, tmp_path: Path
    ) -> None:
        volumes.create("web")
        (tmp_path / "volumes/lost/_data").mkdir(parents=True)
        (tmp_path / "volumes/lost/_data/file").write_text("kept")
        again = opened(tmp_path)
        assert [volume.name for volume in again.list()] == ["web"]
        assert (again.create("lost").path / "file").read_text() == "kept"

    def test_a_record_without_files_is_listed_and_can_be_removed(
        self, volumes: Volumes, tmp_path: Path
    ) -> None:
        made = volumes.create("web")
        made.path.rmdir()
        made.path.parent.rmdir()
        again = opened(tmp_path)
        assert [volume.name for volume in again.list()] == ["web"]
        assert again.size(made) == 0
        with pytest.raises(VolumeMissing, match="web is damaged"):
            again.mount(made)
        again.remove("web")
        assert again.list() == []

    def test_a_removal_that_was_cut_off_is_finished_or_was_none(
        self, volumes: Volumes, tmp_path: Path
    ) -> None:
        kept = volumes.create("web")
        (kept.path / "file").write_text("kept")
        (tmp_path / "volumes/gone/_data/deep").mkdir(parents=True)
        for name in ("web", "gone"):
            (tmp_path / "volumes" / name / "removing").touch()
        opened(tmp_path)
        assert [p.name for p in (tmp_path / "volumes").iterdir()] == ["web"]
        assert sorted(p.name for p in kept.path.parent.iterdir()) == ["_data"]
        assert (kept.path / "file").read_text() == "kept"

    def test_a_creation_that_was_cut_off_leaves_nothing(
        self, volumes: Volumes, tmp_path: Path
    ) -> None:
        (tmp_path / "volumes/begun/_data").mkdir(parents=True)
        opened(tmp_path)
        assert list((tmp_path / "volumes").iterdir()) == []

    def test_work_in_progress_is_swept(self, volumes: Volumes, tmp_path: Path) -> None:
        for name in (".trash-1", ".staging-2"):
            (tmp_path / "volumes" / name / "_data").mkdir(parents=True)
        opened(tmp_path)
        assert list((tmp_path / "volumes").iterdir()) == []


class TestSeeding:
    def test_copies_everything_a_file_has(self, volumes: Volumes, image: Path) -> None:
        volume = volumes.create("web")
        volumes.seed(volume, image, "/srv")
        page = (volume.path / "page").stat()
        assert page.st_nlink == 2
        assert page.st_mtime_ns == 1_600_000_000_123_456_789
        assert volume.path.stat().st_mode & 0o7777 == 0o1751
        assert str((volume.path / "deep/link").readlink()) == "/etc/shadow"
        assert sorted(p.name for p in volume.path.iterdir()) == ["again", "deep", "page"]

    def test_adds_nothing_to_what_is_there(self, volumes: Volumes, image: Path) -> None:
        volume = volumes.create("web")
        volumes.seed(volume, image, "/srv")
        (volume.path / "page").unlink()
        volumes.seed(volume, image, "/srv")
        assert not (volume.path / "page").exists()

    def test_leaves_what_is_there(self, volumes: Volumes, image: Path) -> None:
        volume = volumes.create("web")
        (volume.path / "mine").write_text("mine")
        volumes.seed(volume, image, "/srv")
        assert [p.name for p in volume.path.iterdir()] == ["mine"]

    def test_a_later_image_still_fills_a_volume_that_was_never_filled(
        self, volumes: Volumes, image: Path
    ) -> None:
        volume = volumes.create("web")
        volumes.seed(volume, image, "/nowhere")
        volumes.seed(volume, image, "/srv")
        assert (volume.path / "page").read_text() == "hello"

    def test_an_empty_directory_gives_its_mode_to_a_new_volume_only(
        self, volumes: Volumes, image: Path
    ) -> None:
        (image / "run").mkdir()
        (image / "run").chmod(0o1777)
        new, old = volumes.create("new"), volumes.create("old")
        volumes.seed(old, image, "/nowhere")
        volumes.seed(new, image, "/run")
        volumes.seed(old, image, "/run")
        assert new.path.stat().st_mode & 0o7777 == 0o1777
        assert old.path.stat().st_mode & 0o7777 == 0o755

    @pytest.mark.parametrize("destination", ["/page", "/out", "/up", "/loop", "/x" * 3000])
    def test_what_is_no_directory_inside_the_image_gives_nothing(
        self, volumes: Volumes, image: Path, destination: str
    ) -> None:
        outside = image.parent / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        (image / "page").write_text("a file")
        (image / "out").symlink_to(outside)
        (image / "up").symlink_to("../outside")
        (image / "loop").symlink_to("loop")
        volume = volumes.create("web")
        volumes.seed(volume, image, destination)
        assert list(volume.path.iterdir()) == []

    def test_a_move_that_was_cut_off_is_finished_over_nothing_newer(
        self, volumes: Volumes, image: Path, tmp_path: Path
    ) -> None:
        volume = volumes.create("web")
        (image / "srv").rename(volume.path.parent / "seed")
        (volume.path / "page").write_text("newer")
        opened(tmp_path)
        assert sorted(p.name for p in volume.path.iterdir()) == ["again", "deep", "page"]
        assert (volume.path / "page").read_text() == "newer"
        assert volume.path.stat().st_mode & 0o7777 == 0o1751
        assert not (volume.path.parent / "seed").exists()

    def test_a_copy_that_was_cut_off_leaves_nothing(
        self, volumes: Volumes, image: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        volume = volumes.create("web")

        def full(path: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(seeding, "sync_tree", full)
        with pytest.raises(OSError, match="No space"):
            volumes.seed(volume, image, "/srv")
        assert list(volume.path.iterdir()) == []
        monkeypatch.undo()
        volumes.seed(volume, image, "/srv")
        assert (volume.path / "page").read_text() == "hello"


class TestMeasuring:
    def test_hard_links_count_once_and_links_are_not_followed(self, volumes: Volumes) -> None:
        volume = volumes.create("web")
        (volume.path / "deep").mkdir()
        (volume.path / "deep/file").write_bytes(b"x" * 700)
        (volume.path / "other").hardlink_to(volume.path / "deep/file")
        (volume.path / "link").symlink_to("/proc")
        assert volumes.size(volume) == 700 + len("/proc")
        assert volumes.size_of("web") == volumes.size(volume)
        assert volumes.size_of("nobody") is None

    def test_a_tree_of_any_depth_is_measured(self, volumes: Volumes) -> None:
        volume = volumes.create("web")
        top = at = os.open(volume.path, os.O_RDONLY)
        try:
            for _ in range(1500):
                os.mkdir("d", dir_fd=at)
                below = os.open("d", os.O_RDONLY, dir_fd=at)
                if at != top:
                    os.close(at)
                at = below
        finally:
            os.close(at)
            os.close(top)
        (volume.path / "file").write_bytes(b"12345")
        assert volumes.size(volume) == 5
        volumes.remove("web")
