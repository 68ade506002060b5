"""Paths in a container mean what they mean to Docker, and never lead out of its root."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.container import archive
from lading.container.archive import (
    NotADirectory,
    PathNotFound,
    PathStat,
    ReadOnlyRoot,
)
from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.container.record import Container
from lading.errors import Invalid
from lading.layer.unpack import NameTaken
from tarball import Tarball


def container(**host: bool) -> Container:
    return Container(
        id="c" * 64,
        name="web",
        created=0,
        image_id="",
        config=Config(),
        host=HostConfig(**host),
        networking=NetworkingConfig(),
        layers=[],
        driver="overlay",
        mounts=[],
    )


class Root:
    """A container's root as a plain directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY)

    def stat(self, path: str) -> PathStat:
        return archive.look_up(container(), self.fd, path)

    def get(self, path: str) -> dict[str, bytes]:
        """The members of the tar: a file's content, another's type flag."""
        out = io.BytesIO()
        archive.read(container(), self.fd, path, out, lambda found: None)
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            return {m.name: _content(tar, m) for m in tar}

    def put(self, path: str, tar: Tarball, *, keep_types: bool = False, **host: bool) -> None:
        stream = io.BytesIO(tar.content)
        archive.write(container(**host), self.fd, path, stream, keep_types=keep_types)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else member.type


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """With a directory, a file, links in all directions, and a secret outside."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    inside = tmp_path / "root"
    (inside / "srv/deep").mkdir(parents=True)
    (inside / "srv/file").write_text("hello")
    (inside / "srv/deep/other").write_text("other")
    (inside / "to-file").symlink_to("/srv/file")
    (inside / "to-srv").symlink_to("srv")
    (inside / "out").symlink_to(tmp_path / "outside")
    (inside / "up").symlink_to("../../../../../../" + str(tmp_path / "outside"))
    (inside / "loop").symlink_to("loop")
    made = Root(inside)
    yield made
    os.close(made.fd)


class TestStat:
    def test_types_are_gos(self, root: Root) -> None:
        (root.path / "srv/file").chmod(0o4755)
        (root.path / "srv").chmod(0o1777)
        os.mkfifo(root.path / "fifo", 0o600)
        assert root.stat("/srv").mode == 1 << 31 | 1 << 20 | 0o777
        assert root.stat("/srv/file").mode == 1 << 23 | 0o755
        assert root.stat("/fifo").mode == 1 << 25 | 0o600
        assert root.stat("/to-file").mode == 1 << 27 | 0o777

    def test_tells_name_size_time_and_where_a_link_leads(self, root: Root) -> None:
        os.utime(root.path / "srv/file", ns=(0, 1_600_000_000_120_000_000))
        assert root.stat("srv/file") == PathStat(
            "file", 5, 0o100644 & 0o777, "2020-09-13T12:26:40.12Z", ""
        )
        assert root.stat("/to-file").link_target == "/srv/file"
        assert root.stat("/out").link_target == "/out"
        assert root.stat("/").name == "/"

    def test_a_slash_or_a_dot_at_the_end_follows_the_last_link(self, root: Root) -> None:
        for path in ("/to-srv/", "/to-srv/."):
            assert root.stat(path).mode & 1 << 31

    @pytest.mark.parametrize(
        "path", ["/missing", "/srv/file/", "/srv/file/x", "/loop/", "/out/secret", "/up/secret"]
    )
    def test_what_is_not_inside_is_not_found(self, root: Root, path: str) -> None:
        with pytest.raises(PathNotFound, match=f"the file {path} in container web"):
            root.stat(path)

    @pytest.mark.parametrize("path", ["", "/a\0b"])
    def test_what_is_no_path_is_refused(self, root: Root, path: str) -> None:
        with pytest.raises(Invalid):
            root.stat(path)


class TestGet:
    def test_a_directory_comes_under_its_name(self, root: Root) -> None:
        assert root.get("/srv") == {
            "srv": b"5",
            "srv/deep": b"5",
            "srv/deep/other": b"other",
            "srv/file": b"hello",
        }

    def test_a_dot_asks_for_what_is_in_it(self, root: Root) -> None:
        assert set(root.get("/srv/.")) == {".", "./deep", "./deep/other", "./file"}

    def test_a_file_comes_alone_and_a_link_as_itself(self, root: Root) -> None:
        assert root.get("/srv/file") == {"file": b"hello"}
        assert root.get("/to-file") == {"to-file": tarfile.SYMTYPE}

    def test_links_above_the_last_name_stay_inside(self, root: Root) -> None:
        assert root.get("/to-srv/file") == {"file": b"hello"}
        with pytest.raises(PathNotFound):
            root.get("/out/secret")

    def test_links_in_a_tree_are_not_followed(self, root: Root) -> None:
        assert b"secret" not in root.get("/.").values()


class TestPut:
    def test_files_appear_and_the_directory_stays_as_it_is(self, root: Root) -> None:
        (root.path / "srv").chmod(0o700)
        tar = Tarball().directory("./", 0o777, uid=7).file("new", b"new").file("d/e", b"deep")
        root.put("/srv", tar)
        assert (root.path / "srv/new").read_bytes() == b"new"
        assert (root.path / "srv/d/e").read_bytes() == b"deep"
        assert (root.path / "srv").stat().st_mode & 0o7777 == 0o700

    def test_a_link_to_a_directory_is_followed_inside(self, root: Root) -> None:
        root.put("/to-srv", Tarball().file("new", b"new"))
        assert (root.path / "srv/new").read_bytes() == b"new"

    @pytest.mark.parametrize("path", ["/out", "/up", "/missing", "/loop"])
    def test_nothing_goes_out(self, root: Root, path: str) -> None:
        with pytest.raises(PathNotFound):
            root.put(path, Tarball().file("planted", b"x"))
        assert [p.name for p in (root.path.parent / "outside").iterdir()] == ["secret"]

    def test_a_link_in_the_tar_leads_nowhere_outside(self, root: Root) -> None:
        outside = root.path.parent / "outside"
        tar = Tarball().symlink("l", str(outside)).directory("l", 0o777).file("l/planted", b"x")
        root.put("/srv", tar)
        assert [p.name for p in outside.iterdir()] == ["secret"]
        assert outside.stat().st_mode & 0o777 != 0o777

    def test_only_a_directory_takes_files(self, root: Root) -> None:
        with pytest.raises(NotADirectory, match="extraction point is not a directory"):
            root.put("/srv/file", Tarball().file("x"))

    def test_a_type_is_kept_on_request(self, root: Root) -> None:
        with pytest.raises(NameTaken):
            root.put("/srv", Tarball().file("deep"), keep_types=True)
        with pytest.raises(NameTaken):
            root.put("/srv", Tarball().directory("file"), keep_types=True)
        root.put("/srv", Tarball().file("deep", b"now a file"))
        assert (root.path / "srv/deep").read_bytes() == b"now a file"

    def test_a_read_only_root_takes_nothing(self, root: Root) -> None:
        with pytest.raises(ReadOnlyRoot, match="container rootfs is marked read-only"):
            root.put("/srv", Tarball().file("new"), readonly_rootfs=True)
        assert not (root.path / "srv/new").exists()
