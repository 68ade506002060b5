"""Copies, exports and differences of real containers, also of those that fight back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from container_host import ContainerHost
from lading.container import hostfiles, stubs
from lading.container.archive import PathNotFound, ReadOnlyRoot, ReadOnlyVolume
from lading.container.options import Config, HostConfig
from lading.container.record import Container
from lading.container.roster import ContainerNotFound
from lading.errors import LadingError
from lading.linux import mounts
from lading.runtime import roots as runtime_roots
from lading.volume.values import MountPoint
from tarball import Tarball

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROUNDS = 3000
# Swaps a directory and a link as fast as one process can.
SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(path) for path in sys.argv[1:])
print("swapping", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ContainerHost]:
    made = ContainerHost(tmp_path)
    try:
        yield made
    finally:
        made.close()
        below = str(tmp_path) + "/"
        assert [e.target for e in mounts.table() if str(e.target).startswith(below)] == []


def base() -> Tarball:
    tar = Tarball().directory("etc").file("etc/passwd", b"ann:x:1000:1001::/:/bin/sh\n")
    return tar.directory("srv").file("srv/page", b"page").directory("data").file("data/old", b"old")


def got(host: ContainerHost, container: Container, path: str) -> dict[str, bytes]:
    out = io.BytesIO()
    host.files.get(container.name, path, out, on_stat=lambda found: None)
    return members(out)


def members(out: io.BytesIO) -> dict[str, bytes]:
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else member.type
        return found


def put(
    host: ContainerHost, container: Container, path: str, tar: Tarball, *, as_user: bool = False
) -> None:
    host.files.put(container.id, path, io.BytesIO(tar.content), copy_uid_gid=as_user)


def shown(host: ContainerHost, container: Container) -> list[str]:
    return [f"{c.kind.value} /{c.path.decode()}" for c in host.files.changes(container.id)]


class TestCopying:
    def test_there_and_back(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        put(host, container, "/srv", Tarball().directory("site").file("site/index", b"hello"))
        assert got(host, container, "/srv/site") == {"site": b"5", "site/index": b"hello"}
        assert host.files.stat(container.id, "/srv/site/index").size == 5

    @pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
    def test_compressed_archives_are_expanded_by_the_engine_itself(
        self, host: ContainerHost, kind: str
    ) -> None:
        container = host.container(host.image(base()))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=f"w:{kind}") as tar:
            member = tarfile.TarInfo("new")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"new"))
        packed.seek(0)
        host.files.put(container.id, "/srv", packed)
        assert got(host, container, "/srv/new") == {"new": b"new"}

    def test_owners_are_the_archives_or_the_containers_users(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()), config=Config(cmd=["sh"], user="ann"))
        put(host, container, "/srv", Tarball().file("kept", uid=7, gid=8))
        put(host, container, "/srv", Tarball().file("given", uid=7, gid=8), as_user=True)
        root = host.root(container)
        owners = [(root / "srv" / name).stat() for name in ("kept", "given")]
        assert [(found.st_uid, found.st_gid) for found in owners] == [(7, 8), (1000, 1001)]

    def test_without_a_user_owners_are_kept(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        put(host, container, "/srv", Tarball().file("kept", uid=7, gid=8), as_user=True)
        assert (host.root(container) / "srv/kept").stat().st_uid == 7

    def test_a_missing_container_or_path_is_told(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        with pytest.raises(ContainerNotFound, match="No such container: nobody"):
            host.files.stat("nobody", "/")
        with pytest.raises(PathNotFound, match="Could not find the file /x in container web"):
            got(host, container, "/x")

    def test_nothing_stays_mounted(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        put(host, container, "/srv", Tarball().file("new"))
        got(host, container, "/srv")
        assert not mounts.is_mount(host.roots.path(container.id))


class TestWhatIsMounted:
    @pytest.fixture
    def container(self, host: ContainerHost, tmp_path: Path) -> Container:
        """With a volume at /data, a read-only one at /fixed and a bind at /srv/conf."""
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf/key").write_text("value")
        volume, fixed = host.volumes.create("data"), host.volumes.create("fixed")
        (volume.path / "row").write_text("row")
        (fixed.path / "row").write_text("fixed")
        return host.container(
            host.image(base()),
            MountPoint("volume", "/data", name="data"),
            MountPoint("volume", "/fixed", name="fixed", read_only=True),
            MountPoint("bind", "/srv/conf", source=str(tmp_path / "conf")),
        )

    def test_is_what_is_copied(self, host: ContainerHost, container: Container) -> None:
        assert got(host, container, "/data") == {"data": b"5", "data/row": b"row"}
        assert got(host, container, "/srv")["srv/conf/key"] == b"value"

    def test_takes_what_is_put_there(self, host: ContainerHost, container: Container) -> None:
        put(host, container, "/", Tarball().file("data/new", b"new"))
        put(host, container, "/srv/conf", Tarball().file("other", b"other"))
        assert (host.volumes.get("data").path / "new").read_bytes() == b"new"
        assert got(host, container, "/srv/conf/other") == {"other": b"other"}
        assert not (host.root(container) / "data/new").exists()

    def test_a_read_only_volume_takes_nothing(
        self, host: ContainerHost, container: Container
    ) -> None:
        with pytest.raises(ReadOnlyVolume, match="mounted volume is marked read-only"):
            put(host, container, "/fixed", Tarball().file("new"))
        assert [p.name for p in host.volumes.get("fixed").path.iterdir()] == ["row"]

    def test_a_volume_under_a_read_only_root_takes_files(self, host: ContainerHost) -> None:
        host.volumes.create("data")
        container = host.container(
            host.image(base()),
            MountPoint("volume", "/data", name="data"),
            host=HostConfig(readonly_rootfs=True),
        )
        put(host, container, "/data", Tarball().file("new", b"new"))
        assert got(host, container, "/data/new") == {"new": b"new"}
        with pytest.raises(ReadOnlyRoot, match="container rootfs is marked read-only"):
            put(host, container, "/srv", Tarball().file("new"))

    def test_is_not_exported_nor_counted(self, host: ContainerHost, container: Container) -> None:
        put(host, container, "/data", Tarball().file("big", b"x" * 10000))
        out = io.BytesIO()
        host.files.export(container.id, out)
        exported = members(out)
        assert exported["data/old"] == b"old"
        assert "data/row" not in exported
        assert "data/big" not in exported
        assert host.files.sizes(container.id).rw == 0


class TestChanges:
    def test_are_dockers(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        root = host.root(container)
        (root / "srv/page").write_text("changed")
        (root / "srv/new").write_text("new")
        (root / "data/old").unlink()
        (root / "tmp").mkdir()
        assert shown(host, container) == [
            "C /data",
            "D /data/old",
            "C /srv",
            "A /srv/new",
            "C /srv/page",
            "A /tmp",
        ]

    def test_a_new_container_has_none(self, host: ContainerHost) -> None:
        assert shown(host, host.container(host.image(base()))) == []

    def test_what_is_made_only_to_be_mounted_over_is_none(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        root = host.root(container)
        root_fd = runtime_roots.open_root(root)
        try:
            stubs.make(root_fd, hostfiles.PLACES, host.places.directory(container.id))
        finally:
            os.close(root_fd)
        assert (root / "etc/hosts").exists()
        assert shown(host, container) == []
        (root / "etc/hosts").write_text("mine")
        assert shown(host, container) == ["C /etc", "A /etc/hosts"]


class TestExport:
    def test_is_the_whole_root_without_a_name_of_its_own(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        (host.root(container) / "srv/page").write_text("changed")
        out = io.BytesIO()
        host.files.export(container.id, out)
        assert members(out) == {
            "data": b"5",
            "data/old": b"old",
            "etc": b"5",
            "etc/passwd": b"ann:x:1000:1001::/:/bin/sh\n",
            "srv": b"5",
            "srv/page": b"changed",
        }


class TestSizes:
    def test_count_what_was_written_and_the_image(self, host: ContainerHost) -> None:
        image = host.image(base())
        container = host.container(image)
        root = host.root(container)
        (root / "srv/page").write_bytes(b"x" * 3000)
        (root / "srv/same").hardlink_to(root / "srv/page")
        (root / "data/old").unlink()
        sizes = host.files.sizes(container.id)
        assert sizes.rw == 3000
        assert sizes.rootfs == 3000 + image.size

    def test_of_a_damaged_container_are_its_images(self, host: ContainerHost) -> None:
        image = host.image(base())
        container = host.container(image)
        host.snapshotter.remove(container.id)
        assert host.files.sizes(container.id).rootfs == image.size


class TestAgainstSwaps:
    """HOSTILE 45 to 48: a container swaps a directory and a link while it is copied."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        made = tmp_path / "outside"
        made.mkdir()
        (made / "file").write_text("OUTSIDE")
        return made

    @contextmanager
    def swapping(self, one: Path, other: Path) -> Iterator[None]:
        argv = [sys.executable, "-c", SWAPPER, str(one), str(other)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
            try:
                assert swapper.stdout
                assert swapper.stdout.readline()
                yield
            finally:
                swapper.kill()

    def lay(self, root: Path, outside: Path) -> None:
        """A directory, and links that would lead out of the root by name."""
        (root / "srv/swap/deep").mkdir(parents=True)
        (root / "srv/swap/file").write_text("inside")
        (root / "srv/swap/deep/file").write_text("inside")
        (root / "srv/link").symlink_to(outside)

    def test_nothing_of_the_host_is_read(self, host: ContainerHost, outside: Path) -> None:
        container = host.container(host.image(base()))
        root = host.root(container)
        self.lay(root, outside)
        read = refused = 0
        with self.swapping(root / "srv/swap", root / "srv/link"):
            for turn in range(ROUNDS):
                path = ("/srv/swap/file", "/srv/swap", "/srv")[turn % 3]
                try:
                    found = got(host, container, path)
                except LadingError:
                    refused += 1
                    continue
                read += b"inside" in found.values()
                assert b"OUTSIDE" not in found.values()
        assert read > ROUNDS // 20
        assert refused > ROUNDS // 100

    def test_nothing_of_the_host_is_written(self, host: ContainerHost, outside: Path) -> None:
        container = host.container(host.image(base()))
        root = host.root(container)
        self.lay(root, outside)
        before, written, refused = outside.stat(), 0, 0
        tar = Tarball().directory("deep", 0o777, uid=77).file("deep/planted", b"x", uid=77)
        with self.swapping(root / "srv/swap", root / "srv/link"):
            for _ in range(ROUNDS):
                try:
                    put(host, container, "/srv/swap", tar)
                except LadingError:
                    refused += 1
                else:
                    written += 1
        after = outside.stat()
        assert [p.name for p in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == "OUTSIDE"
        assert (before.st_mode, before.st_uid, before.st_ctime_ns) == (
            after.st_mode,
            after.st_uid,
            after.st_ctime_ns,
        )
        assert written > ROUNDS // 20
        assert refused > ROUNDS // 100


def test_ten_thousand_files_are_copied_in_a_few_seconds(host: ContainerHost) -> None:
    container = host.container(host.image(base()))
    root = host.root(container)
    for folder in range(100):
        (root / f"srv/{folder}").mkdir()
        for name in range(100):
            (root / f"srv/{folder}/{name}").write_bytes(b"x" * 100)
    began = time.monotonic()
    assert len(got(host, container, "/srv")) == 100 * 101 + 2
    assert time.monotonic() - began < 10
