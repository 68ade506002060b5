"""What every snapshotter promises: a subclass supplies the `driver` fixture.

The promises are the ones of `lading.snapshot.protocol`, and that a container sees the
same tree and tells the same changes whatever driver is below it.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import threading

import pytest

from lading.errors import Corrupt, Invalid
from lading.layer.change import Kind
from lading.linux.mounts import table
from lading.oci.digest import Digest
from lading.snapshot.protocol import (
    MISSING,
    LayerNotFound,
    SnapshotExists,
    SnapshotNotFound,
)
from snapshot_host import Host
from tarball import Tarball

OTHER = Digest.of(b"some other layer")


def base() -> Tarball:
    made = Tarball().directory("./", 0o751, uid=3, gid=4).directory("etc/").directory("etc/x/")
    made.file("etc/passwd", b"root").file("etc/x/deep", b"deep").symlink("link", "etc/passwd")
    return made.file("sh", b"#!sh", 0o4755).link("bash", "sh")


class SnapshotterContract:
    """The suite; `host` is a fixture of the subclass."""

    # Layers

    def test_adding_says_the_diff_id(self, host: Host) -> None:
        content = base().content
        assert host.driver.add(None, io.BytesIO(content)) == Digest.of(content)

    def test_what_was_added_is_listed_and_lies_somewhere(self, host: Host) -> None:
        assert host.driver.location(OTHER) is None
        layers = host.add(base(), Tarball())
        assert sorted(host.driver.layers()) == sorted(layers)
        location = host.driver.location(layers[0])
        assert location is not None
        assert location.exists()

    def test_adding_twice_is_adding_once(self, host: Host) -> None:
        content = base().content
        assert host.add(content) == host.add(content)
        assert len(list(host.driver.layers())) == 1

    def test_the_whole_stream_is_read(self, host: Host) -> None:
        content = base().content + b"after the end marker" * 1000
        for _ in range(2):  # a layer that is new, and one that is here
            stream = io.BytesIO(content)
            host.driver.add(Digest.of(content), stream)
            assert not stream.read()

    def test_another_layer_than_was_said_is_not_kept(self, host: Host) -> None:
        with pytest.raises(Corrupt, match=OTHER.hex):
            host.driver.add(OTHER, io.BytesIO(base().content))
        assert list(host.driver.layers()) == []
        assert host.litter() == []

    def test_a_layer_that_is_here_is_verified_all_the_same(self, host: Host) -> None:
        (layer,) = host.add(base())
        with pytest.raises(Corrupt):
            host.driver.add(layer, io.BytesIO(Tarball().content))
        assert host.driver.location(layer) is not None

    @pytest.mark.parametrize("cut", [100, 512, 700, 1536])
    def test_a_tar_that_is_cut_off_is_not_kept(self, host: Host, cut: int) -> None:
        content = Tarball().file("x", bytes(2000)).content[:cut]
        with pytest.raises(Invalid):
            host.driver.add(None, io.BytesIO(content))
        assert list(host.driver.layers()) == []
        assert host.litter() == []

    @pytest.mark.parametrize(
        "tar",
        [
            Tarball().file("../x"),
            Tarball().file("a").file("a/b"),
            Tarball().link("a", "absent"),
            Tarball().directory("d").link("a", "d"),
            Tarball().device("smuggled", 0, 0),
            Tarball().file(".wh."),
            Tarball().symlink("l", "l").file("l/x"),
            Tarball().symlink("./", "x"),
            Tarball().file("d/x").file("d").file("d/y"),
        ],
    )
    def test_a_tar_that_makes_no_tree_is_not_kept(self, host: Host, tar: Tarball) -> None:
        with pytest.raises(Invalid):
            host.driver.add(None, io.BytesIO(tar.content))
        assert list(host.driver.layers()) == []
        assert host.litter() == []

    def test_many_threads_add_the_same_layer(self, host: Host) -> None:
        content, found = base().content, []

        def add() -> None:
            found.append(host.driver.add(None, io.BytesIO(content)))

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [Digest.of(content)] * 8
        assert host.litter() == []
        with host.viewed(found[:1]) as root:
            assert (root / "etc/passwd").read_bytes() == b"root"

    def test_a_layer_that_is_whole_has_no_damage(self, host: Host) -> None:
        (layer,) = host.add(base())
        for _ in range(2):
            assert host.driver.damage(layer) == ""
            assert host.driver.damage(layer, thoroughly=True) == ""
            with host.viewed([layer]):
                assert host.driver.damage(layer) == ""
            host.restart(reboot=True)

    def test_a_layer_that_is_not_here_is_missing(self, host: Host) -> None:
        absent = Digest.of(b"absent")
        assert host.driver.damage(absent) == host.driver.damage(absent, thoroughly=True) == MISSING
        assert not host.driver.mend(absent)

    def test_removing_a_layer_frees_it(self, host: Host) -> None:
        layers = host.add(base(), Tarball().file("more"))
        with host.viewed(layers):
            pass
        for layer in layers:
            host.driver.remove(layer)
            host.driver.remove(layer)
        assert list(host.driver.layers()) == []
        left = [p for p in host.layers.rglob("*") if not p.is_dir()]
        assert left == []
        assert [e for e in table() if str(e.target).startswith(str(host.layers))] == []

    def test_a_removed_layer_can_come_again(self, host: Host) -> None:
        content = base().content
        (layer,) = host.add(content)
        with host.viewed([layer]):
            pass
        host.driver.remove(layer)
        host.add(content)
        with host.viewed([layer]) as root:
            assert (root / "sh").read_bytes() == b"#!sh"

    # Snapshots

    def test_a_container_sees_its_image(self, host: Host) -> None:
        with host.container(base()) as root:
            assert (root / "etc/passwd").read_bytes() == b"root"
            assert os.readlink(root / "link") == "etc/passwd"
            assert (root / "sh").stat().st_ino == (root / "bash").stat().st_ino
            assert stat.S_IMODE((root / "sh").stat().st_mode) == 0o4755
            assert host.changes() == []

    def test_the_root_is_like_the_image_root(self, host: Host) -> None:
        with host.container(base(), Tarball().file("x")) as root:
            status = root.stat()
            assert stat.S_IMODE(status.st_mode) == 0o751
            assert (status.st_uid, status.st_gid) == (3, 4)
            assert status.st_mtime_ns == 1600000000123456789

    def test_a_container_never_changes_its_image(self, host: Host) -> None:
        tar = base().content
        with host.container(tar) as root:
            (root / "etc/passwd").write_bytes(b"changed")
            (root / "sh").unlink()
            shutil.move(root / "etc/x", root / "etc/y")
            os.truncate(root / "bash", 1)
            root.chmod(0o700)
            with host.container(tar, key="other") as other:
                assert (other / "etc/passwd").read_bytes() == b"root"
                assert (other / "sh").read_bytes() == b"#!sh"
                assert (other / "etc/x/deep").read_bytes() == b"deep"
                assert stat.S_IMODE(other.stat().st_mode) == 0o751

    def test_what_a_container_wrote_is_there_again(self, host: Host) -> None:
        with host.container(base()) as root:
            (root / "new").write_bytes(b"x")
        with host.mounted("c") as root:
            assert (root / "new").read_bytes() == b"x"

    def test_a_view_cannot_be_written(self, host: Host) -> None:
        with host.viewed(host.add(base(), Tarball().file("y"))) as root:
            assert {p.name for p in root.iterdir()} == {"etc", "link", "sh", "bash", "y"}
            with pytest.raises(OSError, match="Read-only"):
                (root / "x").write_bytes(b"")
            assert stat.S_IMODE(root.stat().st_mode) == 0o751

    @pytest.mark.parametrize("writable", [True, False])
    def test_without_layers_the_root_is_empty(self, host: Host, *, writable: bool) -> None:
        (host.driver.prepare if writable else host.driver.view)("c", [])
        with host.mounted("c") as root:
            assert list(root.iterdir()) == []
            assert stat.S_IMODE(root.stat().st_mode) == 0o755
            if writable:
                (root / "x").write_bytes(b"")
                assert host.changes() == [(b"x", "A")]

    def test_a_key_is_taken_once(self, host: Host) -> None:
        layers = host.add(base())
        host.driver.prepare("c", layers)
        for make in (host.driver.prepare, host.driver.view):
            with pytest.raises(SnapshotExists):
                make("c", layers)

    def test_an_absent_layer_is_named(self, host: Host) -> None:
        with pytest.raises(LayerNotFound, match=OTHER.hex):
            host.driver.prepare("c", [*host.add(base()), OTHER])
        with pytest.raises(SnapshotNotFound):
            host.driver.mounts("c")
        assert not (host.active / "c").exists()

    def test_a_key_that_names_nothing_is_said_to(self, host: Host) -> None:
        for ask in (host.driver.mounts, host.driver.writable, host.driver.changes):
            with pytest.raises(SnapshotNotFound, match="absent"):
                list(ask("absent"))  # type: ignore[call-overload]

    def test_removing_a_snapshot_frees_it(self, host: Host) -> None:
        with host.container(base()) as root:
            (root / "big").write_bytes(bytes(1 << 20))
        host.driver.remove("c")
        host.driver.remove("c")
        assert not (host.active / "c").exists()
        assert list(host.active.iterdir()) == []
        with pytest.raises(SnapshotNotFound):
            host.driver.mounts("c")
        with host.container(base()) as root:
            assert not (root / "big").exists()

    def test_removing_leaves_what_others_keep_beside_it(self, host: Host) -> None:
        with host.container(base()):
            (host.active / "c" / "log").write_text("line")
        host.driver.remove("c")
        assert (host.active / "c" / "log").read_text() == "line"

    def test_a_new_driver_goes_on(self, host: Host) -> None:
        layers = host.add(base())
        host.driver.prepare("c", layers)
        with host.mounted("c") as root:
            (root / "new").write_bytes(b"x")
            host.restart()
            assert host.changes() == [(b"new", "A")]
            with host.container(base(), key="other") as other:
                assert (other / "sh").exists()
        host.restart(reboot=True)
        with host.mounted("c") as root:
            assert (root / "new").read_bytes() == b"x"
            assert (root / "sh").exists()
        host.driver.remove("c")
        for layer in layers:
            host.driver.remove(layer)
        assert list(host.driver.layers()) == []

    def test_what_was_cut_off_is_swept(self, host: Host) -> None:
        for folder in (*host.layers.iterdir(), host.active):
            for name in (".trash-1", ".staging-1"):
                (folder / name / "fs").mkdir(parents=True)
                (folder / name / "fs" / "x").write_text("x")
        (host.active / "halfway" / "upper" / "x").mkdir(parents=True)
        (host.active / "halfway" / "work").mkdir(parents=True)
        host.restart()
        assert host.litter() == []
        assert not (host.active / "halfway").exists()

    # What layers do to one another

    def test_the_top_layer_wins(self, host: Host) -> None:
        over = Tarball().directory("etc/", 0o700).file("etc/passwd", b"other", uid=7)
        with host.viewed(host.add(base(), over)) as root:
            assert (root / "etc/passwd").read_bytes() == b"other"
            assert (root / "etc/passwd").stat().st_uid == 7
            assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o700
            assert (root / "etc/x/deep").exists()

    def test_a_layer_may_come_twice(self, host: Host) -> None:
        over = Tarball().whiteout("sh").file("bash", b"other").file("etc/passwd", b"other")
        with host.viewed(host.add(base(), over, base())) as root:
            assert (root / "sh").read_bytes() == (root / "bash").read_bytes() == b"#!sh"
            assert (root / "etc/passwd").read_bytes() == b"root"
        with host.viewed(host.add(base(), over, base(), over)) as root:
            assert not (root / "sh").exists()
            assert (root / "bash").read_bytes() == b"other"

    def test_whiteouts_hide(self, host: Host) -> None:
        over = Tarball().whiteout("etc/passwd").whiteout("etc/x").whiteout("absent")
        over.whiteout("bash")
        with host.viewed(host.add(base(), over)) as root:
            assert list((root / "etc").iterdir()) == []
            assert sorted(p.name for p in root.iterdir()) == ["etc", "link", "sh"]
            assert (root / "sh").read_bytes() == b"#!sh"

    def test_opaque_directories_hide_what_is_below_them(self, host: Host) -> None:
        over = Tarball().directory("etc/").file("etc/new", b"n").opaque("etc")
        again = Tarball().file("etc/newer", b"")
        with host.viewed(host.add(base(), over, again)) as root:
            assert sorted(p.name for p in (root / "etc").iterdir()) == ["new", "newer"]

    def test_an_opaque_root_hides_everything_below(self, host: Host) -> None:
        over = Tarball().file(".wh..wh..opq").file("only", b"")
        with host.viewed(host.add(base(), over)) as root:
            assert [p.name for p in root.iterdir()] == ["only"]

    def test_a_directory_becomes_a_file_and_a_directory_again(self, host: Host) -> None:
        file, again = Tarball().file("etc", b"f"), Tarball().directory("etc").file("etc/a", b"")
        layers = host.add(base(), file, again)
        with host.viewed(layers[:2]) as root:
            assert (root / "etc").read_bytes() == b"f"
        with host.viewed(layers) as root:
            assert [p.name for p in (root / "etc").iterdir()] == ["a"]

    def test_whiteouts_of_the_bottom_layer_hide_nothing(self, host: Host) -> None:
        tar = Tarball().directory("d").whiteout("x").whiteout("d/y").opaque("d").file("d/z")
        with host.container(tar) as root:
            assert [p.name for p in root.iterdir()] == ["d"]
            assert [p.name for p in (root / "d").iterdir()] == ["z"]
            assert host.changes() == []

    def test_a_whiteout_spares_what_its_own_layer_brings(self, host: Host) -> None:
        over = Tarball().file("sh", b"new").whiteout("sh").whiteout("etc")
        over.directory("etc").file("etc/mine", b"")
        with host.viewed(host.add(base(), over)) as root:
            assert (root / "sh").read_bytes() == b"new"
            assert [p.name for p in (root / "etc").iterdir()] == ["mine"]

    def test_128_layers(self, host: Host) -> None:
        tars = [Tarball().file(f"f{n}", b"%d" % n).file("last", b"%d" % n) for n in range(128)]
        with host.container(*tars) as root:
            assert len(list(root.iterdir())) == 129
            assert (root / "last").read_bytes() == b"127"
            (root / "f5").unlink()
            assert host.changes() == [(b"f5", "D")]

    # What a file is made of

    def test_attributes_are_kept(self, host: Host) -> None:
        capability = b"\1\0\0\2\x00\x20\0\0" + bytes(12)
        text = capability.decode("latin-1")
        tar = Tarball().file("cap", b"c", xattrs={"security.capability": text, "user.a": "b"})
        tar.directory("d", 0o1777, uid=100000, gid=200000, xattrs={"user.d": ""})
        tar.file("old", b"", mtime="-1.5").file("late", b"", mtime="5000000000.000000001")
        with host.container(tar.symlink("l", "x" * 1000)) as root:
            assert os.getxattr(root / "cap", "security.capability") == capability
            assert os.getxattr(root / "cap", "user.a") == b"b"
            assert os.getxattr(root / "d", "user.d") == b""
            status = (root / "d").stat()
            assert (status.st_uid, status.st_gid) == (100000, 200000)
            assert stat.S_IMODE(status.st_mode) == 0o1777
            assert status.st_mtime_ns == 1600000000123456789
            assert (root / "old").stat().st_mtime_ns == -1500000000
            assert (root / "late").stat().st_mtime_ns == 5000000000000000001
            assert (root / "l").lstat().st_mtime_ns == 1600000000123456789
            assert len(os.readlink(root / "l")) == 1000

    def test_overlay_attributes_of_strangers_are_dropped(self, host: Host) -> None:
        tar = Tarball().directory("etc", xattrs={"trusted.overlay.opaque": "y"})
        tar.file("f", b"", xattrs={"user.overlay.redirect": "/x", "trusted.overlay.metacopy": ""})
        with host.viewed(host.add(base(), tar)) as root:
            assert (root / "etc/passwd").exists()
            assert os.listxattr(root / "f") == []

    def test_special_files(self, host: Host) -> None:
        tar = Tarball().device("null", 1, 3).device("disk", 259, 70000, block=True).fifo("pipe")
        with host.container(tar) as root:
            assert (root / "null").stat().st_rdev == os.makedev(1, 3)
            assert (root / "disk").stat().st_rdev == os.makedev(259, 70000)
            assert stat.S_ISBLK((root / "disk").stat().st_mode)
            assert stat.S_ISFIFO((root / "pipe").stat().st_mode)

    def test_names_are_bytes(self, host: Host) -> None:
        names = [b"\xff\xfe", b"a\nb", "\u00e9".encode(), b"x" * 255, b"-", b"a b\\:,"]
        tar = Tarball()
        for name in names:
            tar.file(os.fsdecode(name), name)
        with host.container(tar) as root:
            assert sorted(os.listdir(os.fsencode(root))) == sorted(names)
            for name in names:
                assert (root / os.fsdecode(name)).read_bytes() == name

    def test_files_of_every_size(self, host: Host) -> None:
        sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 100_000, 3_000_001]
        pattern = bytes(n * 7 % 251 for n in range(251)) * 12000
        tar = Tarball()
        for size in sizes:
            tar.file(str(size), pattern[:size])
        with host.container(tar) as root:
            for size in sizes:
                assert (root / str(size)).read_bytes() == pattern[:size]

    # Changes

    def test_changes_are_told_alike_by_all(self, host: Host) -> None:
        with host.container(base(), Tarball().file("etc/extra", b"e").file("tool")) as root:
            (root / "etc/passwd").write_bytes(b"longer than before")
            (root / "tool").chmod(0o755)
            (root / "etc/x/deep").unlink()
            (root / "new").mkdir()
            (root / "new/file").write_bytes(b"")
            os.setxattr(root / "etc/extra", "user.x", b"y")
            (root / "link").unlink()
            (root / "link").mkdir()
            assert host.changes() == [
                (b"etc", "C"),
                (b"etc/extra", "C"),
                (b"etc/passwd", "C"),
                (b"etc/x", "C"),
                (b"etc/x/deep", "D"),
                (b"link", "C"),
                (b"new", "A"),
                (b"new/file", "A"),
                (b"tool", "C"),
            ]

    def test_a_directory_made_anew_hides_what_was_in_it(self, host: Host) -> None:
        with host.container(base()) as root:
            (root / "etc/x/deep").unlink()
            (root / "etc/x").rmdir()
            (root / "etc/passwd").unlink()
            (root / "etc").rmdir()
            (root / "etc").mkdir()
            (root / "etc/own").write_bytes(b"")
            assert host.changes() == [
                (b"etc", "C"),
                (b"etc/own", "A"),
                (b"etc/passwd", "D"),
                (b"etc/x", "D"),
            ]

    def test_touching_without_changing_is_no_change(self, host: Host) -> None:
        with host.container(base()) as root:
            status = (root / "etc/passwd").stat()
            (root / "etc/passwd").write_bytes(b"root")
            os.utime(root / "etc/passwd", ns=(status.st_atime_ns, status.st_mtime_ns))
            (root / "gone").write_bytes(b"")
            (root / "gone").unlink()
            os.utime(root, ns=(0, 1600000000123456789))
            assert host.changes() == []

    def test_a_change_that_hides_behind_its_old_time_is_found(self, host: Host) -> None:
        with host.container(base()) as root:
            status = (root / "etc/passwd").stat()
            (root / "etc/passwd").write_bytes(b"toor")
            os.utime(root / "etc/passwd", ns=(status.st_atime_ns, status.st_mtime_ns))
            assert host.changes() == [(b"etc", "C"), (b"etc/passwd", "C")]

    def test_what_changed_can_be_read_from_the_writable_directory(self, host: Host) -> None:
        with host.container(base()) as root:
            (root / "etc/passwd").write_bytes(b"new")
            changed = {c.path: c.kind for c in host.driver.changes("c")}
            assert changed == {b"etc": Kind.MODIFIED, b"etc/passwd": Kind.MODIFIED}
            assert (host.driver.writable("c") / "etc/passwd").read_bytes() == b"new"
