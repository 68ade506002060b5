"""What every snapshotter promises.  A subclass supplies the `driver` fixture."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lading.errors import Corrupt
from lading.layer.change import Change, Kind
from lading.linux.mounts import perform, unmount
from lading.oci.digest import Digest
from lading.snapshot.protocol import (
    LayerNotFound,
    SnapshotExists,
    SnapshotNotFound,
    Snapshotter,
)

Driver = Callable[[], Snapshotter]


def layer(*members: tuple[str, bytes | None] | tarfile.TarInfo) -> bytes:
    """A tar of files (name, content), directories (name, None) and members as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            entry = tarfile.TarInfo(name)
            entry.mtime = 1_700_000_000
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def special(name: str, kind: bytes, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


class SnapshotterContract:
    """Subclass it with a `driver` fixture that opens the driver on one root, again and again."""

    @pytest.fixture
    def snapshotter(self, driver: Driver) -> Iterator[Snapshotter]:
        opened = driver()
        yield opened
        opened.close()

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = tmp_path / "mounted"
        place.mkdir()
        return place

    @contextmanager
    def mounted(
        self, snapshotter: Snapshotter, place: Path, *tars: bytes, key: str = "k"
    ) -> Iterator[Path]:
        """An active snapshot over those layers, mounted; removed at the end."""
        layers = [snapshotter.add(None, io.BytesIO(tar)) for tar in tars]
        perform(snapshotter.prepare(key, layers), place)
        try:
            yield place
        finally:
            unmount(place)
            snapshotter.remove(key)

    def test_a_layer_is_seen_as_it_was_packed(self, snapshotter: Snapshotter, place: Path) -> None:
        tar = layer(
            ("d/", None),
            ("d/file", b"content"),
            special("d/link", tarfile.SYMTYPE, linkname="file"),
            special("d/hard", tarfile.LNKTYPE, linkname="d/file"),
            special("fifo", tarfile.FIFOTYPE, mode=0o640, uid=5, gid=6),
            special("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
            special("owned", tarfile.REGTYPE, mode=0o4755, uid=1000, gid=1001, mtime=1.25),
        )
        with self.mounted(snapshotter, place, tar) as root:
            assert (root / "d/file").read_bytes() == b"content"
            assert (root / "d/link").readlink() == Path("file")
            assert (root / "d/hard").stat().st_nlink == 2
            assert (root / "d/hard").stat().st_ino == (root / "d/file").stat().st_ino
            assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
            assert (root / "null").stat().st_rdev == os.makedev(1, 3)
            owned = (root / "owned").stat()
            assert (owned.st_uid, owned.st_gid) == (1000, 1001)
            assert stat.S_IMODE(owned.st_mode) == 0o4755
            assert owned.st_mtime_ns == 1_250_000_000
            assert (root / "d").stat().st_mtime == 1_700_000_000

    def test_extended_attributes_stay(self, snapshotter: Snapshotter, place: Path) -> None:
        entry = special("f", tarfile.REGTYPE)
        entry.pax_headers = {"SCHILY.xattr.user.note": "kept"}
        with self.mounted(snapshotter, place, layer(entry)) as root:
            assert os.getxattr(root / "f", "user.note") == b"kept"

    def test_overlayfs_own_attributes_cannot_be_smuggled_in(
        self, snapshotter: Snapshotter, place: Path
    ) -> None:
        entry = special("d", tarfile.DIRTYPE, mode=0o755)
        entry.pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y"}
        with self.mounted(snapshotter, place, layer(("d/x", b"")), layer(entry)) as root:
            assert (root / "d/x").exists()

    def test_a_device_that_means_a_whiteout_is_refused(self, snapshotter: Snapshotter) -> None:
        bad = layer(special("x", tarfile.CHRTYPE, devmajor=0, devminor=0))
        with pytest.raises(Exception, match="0/0"):
            snapshotter.add(None, io.BytesIO(bad))
        assert list(snapshotter.layers()) == []

    def test_writing_never_changes_a_layer(self, snapshotter: Snapshotter, place: Path) -> None:
        tar = layer(("f", b"image"), ("d/x", b""))
        with self.mounted(snapshotter, place, tar) as root:
            (root / "f").write_bytes(b"container")
            (root / "d/x").unlink()
        with self.mounted(snapshotter, place, tar, key="other") as root:
            assert (root / "f").read_bytes() == b"image"
            assert (root / "d/x").exists()

    def test_upper_layers_replace_and_hide(self, snapshotter: Snapshotter, place: Path) -> None:
        below = layer(("f", b"1"), ("gone", b""), ("d/a", b""), ("d/b", b""), ("e/a", b""))
        above = layer(
            ("f", b"2"), (".wh.gone", b""), ("d/.wh.a", b""), ("e/.wh..wh..opq", b""), ("e/n", b"")
        )
        with self.mounted(snapshotter, place, below, above) as root:
            assert (root / "f").read_bytes() == b"2"
            assert sorted(p.name for p in root.iterdir()) == ["d", "e", "f"]
            assert [p.name for p in (root / "d").iterdir()] == ["b"]
            assert [p.name for p in (root / "e").iterdir()] == ["n"]

    def test_a_directory_may_become_a_file_and_one_again(
        self, snapshotter: Snapshotter, place: Path
    ) -> None:
        tars = layer(("x/old", b"")), layer(("x", b"file")), layer(("x/new", b""))
        with self.mounted(snapshotter, place, *tars) as root:
            assert [p.name for p in (root / "x").iterdir()] == ["new"]

    def test_a_whiteout_with_a_new_directory_of_its_name_hides_the_old_one(
        self, snapshotter: Snapshotter, place: Path
    ) -> None:
        tars = layer(("d/old", b"")), layer((".wh.d", b""), ("d/", None), ("d/new", b""))
        with self.mounted(snapshotter, place, *tars) as root:
            assert [p.name for p in (root / "d").iterdir()] == ["new"]

    def test_changes_tell_what_was_done(self, snapshotter: Snapshotter, place: Path) -> None:
        tar = layer(
            ("etc/", None),
            ("etc/keep", b"k"),
            ("etc/edit", b"old"),
            ("etc/drop", b""),
            ("dir/a", b""),
            ("dir/b", b"b"),
        )
        with self.mounted(snapshotter, place, tar) as root:
            (root / "etc/edit").write_bytes(b"new")
            (root / "etc/drop").unlink()
            (root / "etc/add").write_bytes(b"")
            (root / "etc/keep").open("r+b").close()  # opened for writing, and not written
            (root / "dir/a").unlink()
            (root / "dir/b").unlink()
            (root / "dir").rmdir()
            (root / "dir").mkdir()
            (root / "dir/b").write_bytes(b"another")
            os.sync()
            assert list(snapshotter.changes("k")) == [
                Change(b"dir", Kind.MODIFIED),
                Change(b"dir/a", Kind.DELETED),
                Change(b"dir/b", Kind.MODIFIED),
                Change(b"etc", Kind.MODIFIED),
                Change(b"etc/add", Kind.ADDED),
                Change(b"etc/drop", Kind.DELETED),
                Change(b"etc/edit", Kind.MODIFIED),
            ]

    def test_a_change_that_hides_behind_its_old_time_is_found(
        self, snapshotter: Snapshotter, place: Path
    ) -> None:
        with self.mounted(snapshotter, place, layer(("f", b"old"))) as root:
            before = (root / "f").stat()
            (root / "f").write_bytes(b"new")
            os.utime(root / "f", ns=(before.st_atime_ns, before.st_mtime_ns))
            assert Change(b"f", Kind.MODIFIED) in list(snapshotter.changes("k"))

    def test_no_layers_make_an_empty_root(self, snapshotter: Snapshotter, place: Path) -> None:
        with self.mounted(snapshotter, place) as root:
            assert list(root.iterdir()) == []
            (root / "f").write_bytes(b"")
            assert list(snapshotter.changes("k")) == [Change(b"f", Kind.ADDED)]

    def test_128_layers_stack(self, snapshotter: Snapshotter, place: Path) -> None:
        tars = [layer((f"f{n}", b""), ("last", str(n).encode())) for n in range(128)]
        with self.mounted(snapshotter, place, *tars) as root:
            assert len(list(root.iterdir())) == 129
            assert (root / "last").read_bytes() == b"127"

    def test_a_view_cannot_be_written(self, snapshotter: Snapshotter, place: Path) -> None:
        diff_id = snapshotter.add(None, io.BytesIO(layer(("f", b"x"))))
        perform(snapshotter.view("v", [diff_id]), place)
        try:
            assert (place / "f").read_bytes() == b"x"
            with pytest.raises(OSError, match="Read-only"):
                (place / "g").write_bytes(b"")
        finally:
            unmount(place)
            snapshotter.remove("v")

    def test_a_new_process_finds_everything(
        self, driver: Driver, snapshotter: Snapshotter, place: Path
    ) -> None:
        diff_id = snapshotter.add(None, io.BytesIO(layer(("f", b"x"))))
        before = snapshotter.prepare("k", [diff_id])
        again = driver()
        assert again.mounts("k") == before
        assert list(again.layers()) == [diff_id]
        perform(again.mounts("k"), place)
        assert (place / "f").exists()
        unmount(place)
        again.remove("k")

    def test_adding_again_changes_nothing(self, snapshotter: Snapshotter) -> None:
        tar = layer(("f", b"x"))
        diff_id = snapshotter.add(None, io.BytesIO(tar))
        assert snapshotter.add(diff_id, io.BytesIO(tar)) == diff_id == Digest.of(tar)

    def test_the_wrong_content_is_refused_and_nothing_kept(self, snapshotter: Snapshotter) -> None:
        with pytest.raises(Corrupt):
            snapshotter.add(Digest.of(b"another"), io.BytesIO(layer(("f", b"x"))))
        assert list(snapshotter.layers()) == []

    def test_a_tar_that_is_cut_off_is_refused_and_nothing_kept(
        self, snapshotter: Snapshotter
    ) -> None:
        with pytest.raises(Exception, match="truncated"):
            snapshotter.add(None, io.BytesIO(layer(("f", bytes(5000)))[:3000]))
        assert list(snapshotter.layers()) == []

    def test_many_may_add_the_same_layer_at_once(self, snapshotter: Snapshotter) -> None:
        tar = layer(*((f"f{n}", bytes(100)) for n in range(200)))
        found: list[Digest] = []
        threads = [
            threading.Thread(target=lambda: found.append(snapshotter.add(None, io.BytesIO(tar))))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [Digest.of(tar)] * 6

    def test_removing_frees_and_may_be_repeated(
        self, snapshotter: Snapshotter, tmp_path: Path
    ) -> None:
        diff_id = snapshotter.add(None, io.BytesIO(layer(("f", bytes(1 << 20)))))
        snapshotter.prepare("k", [diff_id])
        for _ in range(2):
            snapshotter.remove("k")
            snapshotter.remove(diff_id)
        assert snapshotter.location(diff_id) is None
        left = [p for p in (tmp_path / "root").rglob("*") if p.is_file()]
        assert left == []

    def test_a_key_is_taken_once(self, snapshotter: Snapshotter) -> None:
        snapshotter.prepare("k", [])
        with pytest.raises(SnapshotExists):
            snapshotter.prepare("k", [])
        snapshotter.remove("k")

    def test_what_is_not_there_is_named(self, snapshotter: Snapshotter) -> None:
        absent = Digest.of(b"absent")
        with pytest.raises(LayerNotFound, match=str(absent)):
            snapshotter.prepare("k", [absent])
        with pytest.raises(SnapshotNotFound, match="nobody"):
            snapshotter.mounts("nobody")

    def test_the_root_keeps_the_mode_and_owner_of_the_image(
        self, snapshotter: Snapshotter, place: Path
    ) -> None:
        tar = layer(special("./", tarfile.DIRTYPE, mode=0o750, uid=7, gid=8))
        with self.mounted(snapshotter, place, tar) as root:
            found = root.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o750, 7, 8)
