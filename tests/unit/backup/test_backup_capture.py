"""A directory captured and made again: the same files, and only once at the target."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import backup_box
from backup_box import PHRASE, capture, depot, fill, lay_out
from lading.backup.capture import Captured, PartCapture
from lading.backup.contents import Contents
from lading.backup.depot import Depot
from lading.backup.laying import lay
from lading.backup.looking import everything, excluding
from lading.backup.packing import Packing
from lading.backup.tree import Entry, InvalidTree, Kind, Tree
from lading.errors import Corrupt
from trees import shown


@pytest.fixture(params=[None, PHRASE], ids=["plain", "sealed"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Depot:
    return depot(tmp_path / "target", request.param)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    fill(folder)
    return folder


def settle() -> None:
    """Let the clock pass the times of files, so that they surely are as they were."""
    time.sleep(0.12)


class TestRoundTrip:
    def test_all_that_can_be_seen_comes_back(
        self, target: Depot, data: Path, tmp_path: Path
    ) -> None:
        captured, _ = capture(target, data)
        again = tmp_path / "again"
        again.mkdir()
        lay_out(target, captured, again)
        assert shown(again) == shown(data)
        assert (again / "sparse").stat().st_blocks <= (data / "sparse").stat().st_blocks + 16

    def test_hard_links_are_stored_once(self, target: Depot, data: Path) -> None:
        captured, _ = capture(target, data)
        kinds = {entry.path: Kind(entry.kind) for entry in captured.entries}
        assert kinds[b"folder/same"] is Kind.FILE
        assert kinds[b"large"] is Kind.HARDLINK

    def test_what_is_excluded_stays_out_with_all_below_it(self, target: Depot, data: Path) -> None:
        captured, _ = capture(target, data, exclude=["folder", "*.x", "sp*"])
        paths = {entry.path for entry in captured.entries}
        assert paths == {b"", b"large", b"link", b"fifo", b"not \xff utf-8"}


class TestAgain:
    def test_unchanged_files_are_not_opened_and_add_nothing(
        self, target: Depot, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settle()
        first, _ = capture(target, data)
        monkeypatch.setattr("lading.backup.looking.opened", _never)
        monkeypatch.setattr("lading.backup.looking.described", _never)
        second, added = capture(target, data, first)
        assert added == 0
        assert second.encoded() == first.encoded()

    def test_a_changed_mebibyte_adds_little_more(self, target: Depot, data: Path) -> None:
        (data / "huge").write_bytes(os.urandom(24 * 1024 * 1024))
        settle()
        first, _ = capture(target, data)
        with (data / "huge").open("r+b") as file:
            file.seek(7_000_000)
            file.write(os.urandom(1024 * 1024))
        _, added = capture(target, data, first)
        assert 1024 * 1024 <= added <= 2.5 * 1024 * 1024

    def test_content_that_moved_is_known_by_its_chunks(self, target: Depot, data: Path) -> None:
        first, _ = capture(target, data)
        (data / "large").rename(data / "folder" / "renamed")
        _, added = capture(target, data, first)
        assert added == 0

    def test_a_change_of_mode_alone_is_seen(self, target: Depot, data: Path) -> None:
        settle()
        first, _ = capture(target, data)
        (data / "sparse").chmod(0o600)
        second, _ = capture(target, data, first)
        modes = {entry.path: entry.mode for entry in second.entries}
        assert modes[b"sparse"] == 0o600


class TestTwoLooks:
    def test_the_second_takes_what_changed_after_the_first(
        self, target: Depot, data: Path, tmp_path: Path
    ) -> None:
        leave_nothing_out = excluding(())
        with Packing(target.place, target.keys, dict) as packing:
            part = PartCapture(data, lambda top: everything(top, leave_nothing_out), packing)
            part.look()
            (data / "folder" / "empty").write_text("no more")
            (data / "fifo").unlink()
            (data / "new").write_text("born late")
            part.look()
            packing.finish()
            captured = part.finish()
        again = tmp_path / "again"
        again.mkdir()
        lay_out(target, captured, again)
        assert shown(again) == shown(data)

    def test_a_write_with_old_times_is_seen(self, tmp_path: Path) -> None:
        """Whatever changed since the looking began is looked at again, however it seems."""
        target, data = depot(tmp_path / "target"), tmp_path / "data"
        data.mkdir()
        (data / "file").write_text("before")
        leave_nothing_out = excluding(())
        with Packing(target.place, None, dict) as packing:
            part = PartCapture(data, lambda top: everything(top, leave_nothing_out), packing)
            part.look()
            found = (data / "file").stat()
            (data / "file").write_text("after!")
            os.utime(data / "file", ns=(found.st_atime_ns, found.st_mtime_ns))
            part.look()
            packing.finish()
            entries = {entry.path: entry for entry in part.finish().entries}
        assert not entries[b"file"].settled
        assert packing.read == 12


class TestLaying:
    """A tree is as hostile as the target that it comes from."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        top = tmp_path / "top"
        top.mkdir()
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "victim").write_text("untouched")
        return top

    def make(self, tmp_path: Path, top: Path, *rows: Entry) -> None:
        target = depot(tmp_path / "target")
        with Contents(target, {}) as contents:
            lay(Tree([], list(rows)), contents, top)

    @pytest.mark.parametrize("kind", [Kind.FILE, Kind.DIRECTORY, Kind.FIFO, Kind.SYMLINK])
    def test_nothing_is_made_through_a_link(self, tmp_path: Path, place: Path, kind: Kind) -> None:
        link = Entry(b"way", int(Kind.SYMLINK), target=b"../outside")
        with pytest.raises(InvalidTree):
            self.make(tmp_path, place, link, Entry(b"way/x", int(kind), target=b"y"))
        assert os.listdir(tmp_path / "outside") == ["victim"]

    def test_a_link_in_a_file_s_place_gives_way(self, tmp_path: Path, place: Path) -> None:
        victim = tmp_path / "outside" / "victim"
        (place / "file").symlink_to(victim)
        own = {"uid": os.getuid(), "gid": os.getgid(), "mode": 0o600}
        self.make(tmp_path, place, Entry(b"file", int(Kind.FILE), **own))
        assert victim.read_text() == "untouched"
        assert not (place / "file").is_symlink()

    def test_a_directory_s_mode_does_not_go_through_a_link(
        self, tmp_path: Path, place: Path
    ) -> None:
        outside = tmp_path / "outside"
        mode = outside.stat().st_mode
        (place / "d").symlink_to(outside)
        own = {"uid": os.getuid(), "gid": os.getgid(), "mode": 0o777}
        self.make(tmp_path, place, Entry(b"d", int(Kind.DIRECTORY), **own))
        assert outside.stat().st_mode == mode
        assert (place / "d").is_dir() and not (place / "d").is_symlink()

    def test_hard_links_reach_nothing_outside(self, tmp_path: Path, place: Path) -> None:
        link = Entry(b"way", int(Kind.SYMLINK), target=b"../outside")
        with pytest.raises(InvalidTree):
            self.make(tmp_path, place, link, Entry(b"l", int(Kind.HARDLINK), target=b"way/victim"))
        assert (tmp_path / "outside" / "victim").stat().st_nlink == 1

    def test_a_whiteout_device_is_refused(self, tmp_path: Path, place: Path) -> None:
        with pytest.raises(InvalidTree, match="0/0"):
            self.make(tmp_path, place, Entry(b"x", int(Kind.CHARACTER)))

    def test_overlay_s_own_attributes_are_dropped(self, tmp_path: Path, place: Path) -> None:
        xattrs = {b"user.overlay.opaque": b"y", b"user.kept": b"1"}
        own = {"uid": os.getuid(), "gid": os.getgid(), "mode": 0o700}
        self.make(tmp_path, place, Entry(b"d", int(Kind.DIRECTORY), xattrs=xattrs, **own))
        assert os.listxattr(place / "d") == ["user.kept"]

    def test_a_file_longer_than_its_chunks_is_refused(self, tmp_path: Path, place: Path) -> None:
        with pytest.raises(Corrupt):
            self.make(tmp_path, place, Entry(b"x", int(Kind.FILE), size=10))

    def test_the_top_cannot_be_a_link(self, tmp_path: Path, place: Path) -> None:
        with pytest.raises(InvalidTree):
            self.make(tmp_path, place, Entry(b"", int(Kind.SYMLINK), target=b"/"))


def _never(*arguments: object) -> None:
    raise AssertionError("a file was opened")


def test_the_box_is_what_tests_think_it_is(tmp_path: Path) -> None:
    made = backup_box.box(tmp_path)
    assert isinstance(made.captured, Captured)
    assert made.depot.get(made.bill.ref).bill == made.bill
