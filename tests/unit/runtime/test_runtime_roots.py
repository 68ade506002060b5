"""Mount points and working directories are made inside the root, whatever is planted there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.paths import open_beneath, open_in_root
from lading.runtime import roots
from lading.runtime.mounts import MountPoint
from lading.runtime.roots import BadWorkingDirectory, HostileRoot
from lading.runtime.spec import ProcessRequest, SpecRequest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


@pytest.fixture
def fd(root: Path) -> Iterator[int]:
    opened = roots.open_root(root)
    yield opened
    os.close(opened)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text("secret")
    return directory


def ensure(fd: int, path: str, *, directory: bool = True) -> None:
    os.close(roots.ensure(fd, path, directory=directory))


class TestEnsure:
    def test_what_is_missing_is_made(self, fd: int, root: Path) -> None:
        ensure(fd, "/a/b/c")
        ensure(fd, "/a/b/c")
        ensure(fd, "a//x/../y")
        ensure(fd, "/f/g", directory=False)
        assert (root / "a/b/c").is_dir()
        assert (root / "a/y").is_dir()
        assert not (root / "a/x").exists()
        assert (root / "f/g").is_file()
        assert (root / "a").stat().st_mode & 0o777 == 0o755

    def test_the_root_itself(self, fd: int) -> None:
        ensure(fd, "/")
        ensure(fd, "/..")

    def test_the_wrong_kind_is_refused(self, fd: int, root: Path) -> None:
        (root / "file").touch()
        (root / "directory").mkdir()
        for path in ("/file", "/file/below"):
            with pytest.raises(NotADirectoryError):
                ensure(fd, path)
        with pytest.raises(IsADirectoryError):
            ensure(fd, "/directory", directory=False)

    @pytest.mark.parametrize("up", ["", "../../../../../../../.."])
    def test_links_to_the_outside_stay_inside(
        self, fd: int, root: Path, outside: Path, up: str
    ) -> None:
        (root / "link").symlink_to(f"{up}{outside}")
        ensure(fd, "/link/new")
        ensure(fd, "/link/file", directory=False)
        assert sorted(p.name for p in outside.iterdir()) == ["secret"]
        assert (root / str(outside).lstrip("/") / "new").is_dir()

    def test_a_link_to_nothing_is_followed_inside(self, fd: int, root: Path) -> None:
        (root / "var").mkdir()
        (root / "var/run").symlink_to("../run")
        ensure(fd, "/var/run/app")
        assert (root / "run/app").is_dir()

    def test_a_chain_of_links(self, fd: int, root: Path) -> None:
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("/c")
        ensure(fd, "/a/x/y", directory=False)
        assert (root / "c/x/y").is_file()

    def test_links_in_a_circle_are_refused(self, fd: int, root: Path) -> None:
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("a")
        with pytest.raises(HostileRoot):
            ensure(fd, "/a/x")

    @pytest.mark.parametrize("target", ["/proc/self", "proc", "/dev/shm/x", "../sys"])
    def test_a_link_to_where_the_runtime_mounts_is_refused(
        self, fd: int, root: Path, target: str
    ) -> None:
        (root / "a").symlink_to(target)
        with pytest.raises(HostileRoot):
            ensure(fd, "/a/x")


class TestPrepare:
    def request(self, root: Path, *mounts: MountPoint, cwd: str = "/") -> SpecRequest:
        first = ProcessRequest(argv=("x",), cwd=cwd)
        return SpecRequest(process=first, rootfs=str(root), mounts=mounts)

    def test_targets_are_of_the_sources_kind(self, root: Path, outside: Path) -> None:
        roots.prepare(
            self.request(
                root,
                MountPoint.bind(str(outside), "/data"),
                MountPoint.bind(str(outside / "secret"), "/data/sub/file"),
                MountPoint.bind(str(outside / "secret"), "/file"),
                MountPoint.tmpfs("/scratch"),
                MountPoint.bind(str(outside), "/dev/x"),
                cwd="/srv/app",
            )
        )
        assert sorted(p.name for p in root.iterdir()) == ["data", "file", "scratch", "srv"]
        assert list((root / "data").iterdir()) == []
        assert (root / "file").is_file()
        assert (root / "srv/app").is_dir()

    @pytest.mark.parametrize("name", ["dev", "proc", "sys"])
    def test_a_link_for_a_kernels_directory_is_refused(self, root: Path, name: str) -> None:
        (root / name).symlink_to("/etc")
        with pytest.raises(HostileRoot, match=f"/{name} is not a directory"):
            roots.prepare(self.request(root))

    def test_a_mount_onto_a_kernels_directory_by_a_link_is_refused(
        self, root: Path, outside: Path
    ) -> None:
        (root / "proc").mkdir()
        (root / "x").symlink_to("/proc")
        with pytest.raises(HostileRoot):
            roots.prepare(self.request(root, MountPoint.bind(str(outside), "/x")))


class TestWorkingDirectory:
    @pytest.mark.parametrize(
        "path",
        [
            "",
            "a",
            "./a",
            "/proc/self/fd/8",
            "/proc/self",
            "/proc/1/cwd",
            "/proc/thread-self/x",
            "//proc/self/fd",
            "/a/../proc/self/root",
            "/link",
        ],
    )
    def test_one_that_leads_out_is_refused(self, fd: int, root: Path, path: str) -> None:
        (root / "link").symlink_to("/proc/self/fd/8")
        with pytest.raises(BadWorkingDirectory):
            roots.ensure_working_directory(fd, path)
        with pytest.raises(BadWorkingDirectory):
            roots.check_working_directory(fd, path)
        assert not (root / "proc").exists()

    def test_others_are_made_or_let_pass(self, fd: int, root: Path) -> None:
        roots.ensure_working_directory(fd, "/a/b")
        assert (root / "a/b").is_dir()
        roots.ensure_working_directory(fd, "/proc")
        roots.check_working_directory(fd, "/proc/sys")
        roots.check_working_directory(fd, "/missing")
        roots.check_working_directory(fd, "/a/b")
        assert not (root / "missing").exists()

    def test_a_file_is_none(self, fd: int, root: Path) -> None:
        (root / "f").touch()
        with pytest.raises(BadWorkingDirectory):
            roots.ensure_working_directory(fd, "/f")


class TestOpenat2:
    def test_in_root_clamps_and_beneath_refuses(self, fd: int, root: Path, outside: Path) -> None:
        (root / "f").write_text("mine")
        (root / "link").symlink_to(f"{outside}/secret")
        (root / "up").symlink_to("../outside/secret")
        os.close(open_in_root(fd, b"/../f", os.O_RDONLY))
        for path in (b"link", b"up"):
            with pytest.raises(FileNotFoundError):
                open_in_root(fd, path, os.O_RDONLY)
            with pytest.raises(OSError, match="cross-device"):
                open_beneath(fd, path, os.O_RDONLY)
            with pytest.raises(OSError, match="symbolic links"):
                open_beneath(fd, path, os.O_RDONLY, symlinks=False)

    def test_a_null_byte_is_refused(self, fd: int) -> None:
        with pytest.raises(ValueError, match="null"):
            open_in_root(fd, b"a\0b", os.O_RDONLY)
