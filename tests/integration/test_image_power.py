"""Images that were loaded or committed are there after a power cut, whole.

The daemon's root is an ext4 in a file; a power cut is a copy of that file while the daemon
is held.  A control run that makes nothing durable must lose images, or this would prove
nothing.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine_daemon import Daemon
from image_box import Layout, config, large_layer, layer
from lading.events import Bus
from lading.image import archive
from lading.image.library import Library
from lading.linux.mounts import perform, unmount, unmount_below
from lading.settings import Settings
from lading.snapshot.choose import choose, probe
from lading.store.blobs import BlobStore
from lading.store.database import Database
from power import cut

UNSAFE = Path(__file__).parent.parent / "unsafe_daemon.py"
CUTS = 5


class OnDisk(Daemon):
    """A daemon whose root is on the disk that loses power."""

    def __init__(self, directory: Path, *, unsafe: bool) -> None:
        super().__init__(directory, "--snapshotter", "erofs")
        self._unsafe = unsafe

    def command(self) -> list[str]:
        words = super().command()
        if self._unsafe:
            words[1:3] = [str(UNSAFE)]
        return words


class Work(threading.Thread):
    """Loads images and commits containers, one after the other, and notes what was acknowledged."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._daemon, self._stopping = daemon, False

    def run(self) -> None:
        number = 0
        with suppress(OSError):  # the daemon is killed in the end
            while not self._stopping:
                self._load(number)
                self._commit(number)
                number += 1

    def end(self) -> None:
        self._stopping = True
        self.join()

    def _load(self, number: int) -> None:
        layout = Layout()
        tars = [large_layer(f"common{number // 8}"), large_layer(f"own{number}")]
        image = layout.image(tars, raw=config(tars, author=str(number)), compress=number % 2 == 0)
        layout.root(image, f"docker.io/library/loaded:{number}")
        answer = self._daemon.client.post("/images/load", body=layout.tar)
        assert b"Loaded image" in answer.body, answer.body
        self.acknowledged.append(f"loaded:{number}")

    def _commit(self, number: int) -> None:
        client = self._daemon.client
        asked = {"Image": f"loaded:{number}", "Cmd": ["none"]}
        made = client.post("/containers/create", content=asked)
        assert made.status == 201, made.body
        container = made.json()["Id"]
        content = layer("committed", f"{number} ".encode() * 20_000)
        put = client.request("PUT", f"/containers/{container}/archive", body=content, path="/")
        assert put.status == 200, put.body
        committed = client.post("/commit", container=container, repo="saved", tag=str(number))
        assert committed.status == 201, committed.body
        self.acknowledged.append(f"saved:{number}")
        client.delete(f"/containers/{container}", force=1)


@contextmanager
def mounted(disk: Path, target: Path) -> Iterator[Path]:
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, target], check=True)
    try:
        yield target
    finally:
        unmount_below(target)


@pytest.fixture
def place() -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root and mkfs.ext4")
    made = Path(tempfile.mkdtemp(prefix="lading-"))
    if why := probe(made)["erofs"]:
        made.rmdir()
        pytest.skip(f"erofs: {why}")
    yield made
    unmount_below(made)
    shutil.rmtree(made)


@pytest.fixture
def disk() -> Iterator[Path]:
    """On tmpfs: what is in the file survives, what is in caches does not."""
    folder = Path("/dev/shm") / f"lading-image-power-{os.getpid()}"
    folder.mkdir()
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    yield disk
    shutil.rmtree(folder)


@contextmanager
def working(disk: Path, place: Path, *, unsafe: bool) -> Iterator[tuple[Daemon, Work]]:
    with mounted(disk, place / "before") as root:
        daemon = OnDisk(root, unsafe=unsafe)
        daemon.start()
        work = Work(daemon)
        work.start()
        try:
            yield daemon, work
        finally:
            work.end()
            daemon.kill()


@contextmanager
def after_a_cut(daemon: Daemon, work: Work, disk: Path, place: Path) -> Iterator[Settings]:
    """The root as a power cut leaves it."""
    os.kill(daemon.pid, signal.SIGSTOP)
    copy = cut(disk)
    os.kill(daemon.pid, signal.SIGCONT)
    with mounted(copy, place / "after") as root:
        yield Settings(root=root / "root", snapshotter="erofs")


def lost(settings: Settings, names: list[str]) -> list[str]:
    """Which of the images are not there, or not whole."""
    database = Database(settings.state_db)
    driver = choose(settings).snapshotter
    blobs = BlobStore(settings.blobs, settings.staging, settings.trash)
    library = Library(blobs, database, driver, Bus())
    library.open()
    try:
        assert [row.damage for row in library.list() if row.damage] == []
        assert [
            d for layer in driver.layers() if (d := driver.damage(layer, thoroughly=True))
        ] == []
        return [name for name in names if not is_whole(library, name, settings.root / "seen")]
    finally:
        driver.close()
        database.close()


def is_whole(library: Library, name: str, target: Path) -> bool:
    """Whether the image can be saved, and shows its last file when it is mounted."""
    out = io.BytesIO()
    try:
        archive.save(library, [name], out)
        image = library.resolve(name)
        mounts = library.snapshotter.view("seen", library.mountable(image))
    except Exception:
        return False
    target.mkdir(exist_ok=True)
    perform(mounts, target)
    try:
        kind, _, number = name.partition(":")
        if kind == "saved":
            return (target / "committed").read_bytes() == f"{number} ".encode() * 20_000
        return (target / f"own{number}").stat().st_size == 200_000
    finally:
        unmount(target, lazy=True)
        library.snapshotter.remove("seen")


def test_acknowledged_images_are_whole(disk: Path, place: Path) -> None:
    checked = 0
    with working(disk, place, unsafe=False) as (daemon, work):
        for _ in range(CUTS):
            begun = len(work.acknowledged)
            time.sleep(0.7)
            names = work.acknowledged[:]
            with after_a_cut(daemon, work, disk, place) as settings:
                assert lost(settings, names[begun:] + names[:2]) == []
            checked += len(names) - begun
            assert work.is_alive()
    assert checked > 2 * CUTS


def test_without_flushing_they_are_lost(disk: Path, place: Path) -> None:
    with working(disk, place, unsafe=True) as (daemon, work):
        for _ in range(CUTS):
            time.sleep(0.7)
            names = work.acknowledged[:]
            with after_a_cut(daemon, work, disk, place) as settings:
                try:
                    if lost(settings, names[-6:]):
                        return
                except Exception:
                    return  # not even the library can be opened
    raise AssertionError("nothing was lost: this emulates no power cut")
