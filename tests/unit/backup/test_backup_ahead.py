"""A tree that was laid out before becomes the one after it, and what is the same stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import backup_box
from lading.backup import tree
from lading.backup.ahead import renew
from lading.backup.capture import Captured
from lading.backup.contents import Contents
from lading.backup.depot import Depot


def brought(place: Depot, before: Captured, after: Captured, top: Path) -> None:
    packs = {pack.digest: pack for pack in after.packs}
    old, new = tree.decode(before.encoded()), tree.decode(after.encoded())
    with Contents(place, packs) as contents:
        renew(old, new, contents, top)


def listing(top: Path) -> dict[str, object]:
    """Everything that a tree tells of a directory's files."""
    found: dict[str, object] = {}
    for path in [top, *top.rglob("*")]:
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        mode, links = status.st_mode, 0 if path.is_dir() else status.st_nlink
        found[os.fsdecode(path.relative_to(top))] = (mode, links, status.st_mtime_ns, content)
    return found


def change(top: Path) -> None:
    """A little of everything."""
    (top / "folder" / "text").write_text("other words\n")
    (top / "folder" / "empty").unlink()
    (top / "large").unlink()
    (top / "link").unlink()
    (top / "link").mkdir()
    (top / "link" / "inside").write_text("new")
    (top / "gone" / "deeper").rename(top / "moved")
    (top / "gone").rmdir()
    os.link(top / "moved", top / "again")


class TestRenew:
    def test_the_directory_is_as_the_later_tree_says(self, tmp_path: Path) -> None:
        place, top, out = backup_box.depot(tmp_path / "at"), tmp_path / "top", tmp_path / "out"
        top.mkdir()
        out.mkdir()
        backup_box.fill(top)
        (top / "gone").mkdir()
        (top / "gone" / "deeper").write_text("moves")
        before, _ = backup_box.capture(place, top)
        backup_box.lay_out(place, before, out)
        change(top)
        after, _ = backup_box.capture(place, top, before)
        brought(place, before, after, out)
        assert listing(out) == listing(top)

    def test_a_file_that_surely_is_the_same_is_not_made_again(self, tmp_path: Path) -> None:
        place, top, out = backup_box.depot(tmp_path / "at"), tmp_path / "top", tmp_path / "out"
        top.mkdir()
        out.mkdir()
        (top / "same").write_text("same")
        (top / "other").write_text("one")
        time.sleep(0.1)
        before, _ = backup_box.capture(place, top)
        backup_box.lay_out(place, before, out)
        made = (out / "same").stat().st_ino
        (top / "other").write_text("two")
        after, _ = backup_box.capture(place, top, before)
        (out / "same").write_text("kept")  # which a file that is made again would not be
        brought(place, before, after, out)
        assert (out / "same").stat().st_ino == made
        assert (out / "same").read_text() == "kept"
        assert (out / "other").read_text() == "two"
