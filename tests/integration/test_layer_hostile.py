"""Hostile archives through everything that takes a layer's tar: nothing escapes, nothing hangs."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile.corpus import Case, Outcome, cases
from lading.errors import LadingError
from lading.layer.pack import walk
from lading.layer.remove import empty
from lading.layer.unpack import unpack
from lading.linux.mounts import perform, unmount
from lading.linux.paths import open_beneath
from lading.snapshot.copying import Copying
from lading.snapshot.erofs import Erofs
from lading.snapshot.overlay import Overlay
from lading.snapshot.protocol import Snapshotter

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices want root")

ALL = list(cases())
MOST_SECONDS = 5.0
_TAKE_ALL = """
import contextlib, io, os, sys
from pathlib import Path
from hostile.corpus import cases
from lading.errors import LadingError
from lading.layer.remove import empty
from lading.layer.unpack import unpack

place = Path(sys.argv[1])
for case in cases():
    with contextlib.suppress(LadingError):
        unpack(io.BytesIO(case.make(b"/nowhere")), place)
    folder = os.open(place, os.O_RDONLY)
    empty(folder)
    os.close(folder)
for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith("VmHWM:"):  # unlike ru_maxrss it begins anew with the program
        print(line.split()[1])
"""
Door = Callable[[bytes, Path], None]


def plainly(tar: bytes, place: Path) -> None:
    target = place / "target"
    target.mkdir(exist_ok=True)
    unpack(io.BytesIO(tar), target)


def applied(tar: bytes, place: Path) -> None:
    target = place / "target"
    target.mkdir(exist_ok=True)
    unpack(io.BytesIO(tar), target, whiteouts="apply")


def by(driver: Callable[[Path, Path], Snapshotter]) -> Door:
    def door(tar: bytes, place: Path) -> None:
        snapshotter = driver(place / "layers", place / "active")
        (place / "mounted").mkdir(exist_ok=True)
        try:
            layer = snapshotter.add(None, io.BytesIO(tar))
            perform(snapshotter.prepare("k", [layer]), place / "mounted")
            try:
                read_everything(place / "mounted")
            finally:
                unmount(place / "mounted")
        finally:
            snapshotter.close()

    return door


DOORS: dict[str, Door] = {
    "unpack": plainly,
    "apply": applied,
    "overlay": by(Overlay),
    "copying": by(Copying),
    "erofs": by(Erofs),
}


def read_everything(root: Path) -> None:
    """What a container may do with it; special files are left alone."""
    top = os.open(root, os.O_RDONLY)
    try:
        for path in walk(root):
            with contextlib.suppress(OSError):  # a link, or a name too long for one call
                read_some(top, path)
    finally:
        os.close(top)


def read_some(top: int, path: bytes) -> None:
    file = open_beneath(top, path, os.O_RDONLY | os.O_NONBLOCK, symlinks=False)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            os.read(file, 4096)
    finally:
        os.close(file)


def seen(tree: Path) -> list[tuple[object, ...]]:
    """Everything that an escape could have changed."""
    found = []
    for path in sorted([tree, *tree.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append(
            (path, status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink, content)
        )
    return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory that is emptied by descriptor: some of the trees are too deep for pytest."""
    place = tmp_path / "place"
    place.mkdir()
    yield place
    top = os.open(place, os.O_RDONLY)
    empty(top)
    os.close(top)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("not yours")
    return victim


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.parametrize("case", ALL, ids=str)
def test_nothing_escapes(case: Case, door: str, place: Path, victim: Path) -> None:
    tar = case.make(os.fsencode(victim))
    before, began = seen(victim), time.monotonic()
    refused = False
    try:
        DOORS[door](tar, place)
    except LadingError as error:
        refused = True
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    assert time.monotonic() - began < MOST_SECONDS
    assert seen(victim) == before
    knows_whiteouts = door != "unpack"
    if case.outcome is Outcome.REFUSED and (knows_whiteouts or case.row not in (8, 9)):
        assert refused


def test_the_names_of_the_cases_are_unique() -> None:
    names = [str(case) for case in ALL]
    assert len(set(names)) == len(names)


def test_memory_stays_small(tmp_path: Path) -> None:
    """The whole corpus, as a process that has done nothing else takes it."""
    done = subprocess.run(
        [sys.executable, "-c", _TAKE_ALL, tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300 * 1024
