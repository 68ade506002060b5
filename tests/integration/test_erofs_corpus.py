"""What is seen through an EROFS index equals what GNU tar unpacks, for all kinds of trees."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lading.linux.mounts import perform, unmount_below
from lading.oci.digest import Digest
from lading.snapshot.choose import probe
from lading.snapshot.erofs import Erofs
from trees import shown

Fill = Callable[[Path], None]
SEED = 20261124


@pytest.fixture(scope="module", autouse=True)
def possible(tmp_path_factory: pytest.TempPathFactory) -> None:
    why = probe(tmp_path_factory.mktemp("probe"))["erofs"]
    if why:
        pytest.skip(f"erofs: {why}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory on tmpfs, which allows more links to a file than ext4 does."""
    made = Path("/dev/shm") / f"lading-corpus-{os.getpid()}"
    made.mkdir()
    try:
        yield made
    finally:
        unmount_below(tmp_path)
        shutil.rmtree(made)


def names(root: Path) -> None:
    chance = random.Random(SEED)
    for n in range(500):
        length = chance.choice([1, 2, 17, 100, 101, 155, 254, 255])
        drawn = bytes(chance.choice(range(1, 256)) for _ in range(length)).replace(b"/", b"_")
        name = drawn if drawn not in (b".", b"..") else b"dots"
        (root / os.fsdecode(name)).write_bytes(b"%d" % n)
    for name in ("-", "+", "!", ".a", "..a", "...", " ", "\n", "a" * 255, "\xff"):
        (root / "odd" / name).mkdir(parents=True)


def deep(root: Path) -> None:
    directory = os.open(root, os.O_RDONLY)
    for n in range(18):
        name = b"d" * 200 if n else b"top"
        os.mkdir(name, dir_fd=directory)
        inner = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
        file = os.open(b"file", os.O_WRONLY | os.O_CREAT, dir_fd=directory)
        os.write(file, b"at depth %d" % n)
        os.close(file)
    os.close(directory)
    for n in range(300):
        (root / ("many/" + "x/" * n)).mkdir(parents=True, exist_ok=True)


def hard_links(root: Path) -> None:
    (root / "first").write_bytes(b"shared")
    for n in range(65_534):
        os.link(root / "first", root / f"link{n:05}")


def one_directory(root: Path) -> None:
    for n in range(200_000):
        os.close(os.open(root / f"file-{n}", os.O_WRONLY | os.O_CREAT))


def sparse(root: Path) -> None:
    chance = random.Random(SEED)
    for n in range(40):
        with (root / f"sparse{n}").open("wb") as file:
            for _ in range(chance.randrange(6)):
                file.seek(chance.randrange(1 << 22))
                file.write(chance.randbytes(chance.choice([1, 511, 512, 4096, 70_000])))
            file.truncate(chance.randrange(1 << 20, 1 << 23))
    with (root / "end").open("wb") as file:
        file.write(b"x")
        file.truncate((1 << 26) + 1)
    with (root / "hole").open("wb") as file:
        file.truncate(12_345_678)


def attributes(root: Path) -> None:
    chance = random.Random(SEED)
    for n in range(300):
        path = root / f"f{n}"
        if n % 3:
            path.write_bytes(chance.randbytes(chance.randrange(3000)))
        else:
            path.mkdir()
        for _ in range(chance.randrange(4)):
            name = chance.choice(["user.", "trusted.", "security."]) + f"n{chance.randrange(9)}"
            os.setxattr(path, name, chance.randbytes(chance.choice([0, 1, 10, 300, 4000])))
        os.setxattr(path, "user.shared", b"the same for all")
        os.chown(path, chance.randrange(1 << 32 - 1), chance.randrange(1 << 16))
        path.chmod(chance.randrange(0o10000))
        time = chance.randrange(-(1 << 33), 1 << 34) * 1_000_000_000 + chance.randrange(10**9)
        os.utime(path, ns=(time, time))


def kinds(root: Path) -> None:
    for length in (1, 59, 60, 479, 480, 481, 511, 512, 513, 1023, 4000):
        (root / f"link{length}").symlink_to("t" * length)
    for n in range(200):
        os.mknod(root / f"c{n}", 0o20600, os.makedev(1 + n, n * 5000))
        os.mknod(root / f"b{n}", 0o60600, os.makedev(4095 - n, 1048575 - n))
    os.mkfifo(root / "fifo")
    for size in (0, 1, 511, 512, 513, 1023, 1024, 4095, 4096, 4097, 1 << 20):
        (root / f"size{size}").write_bytes(random.Random(size).randbytes(size))


def directories_of_every_size(root: Path) -> None:
    """Around the borders of blocks: what fits behind an inode, what fills one or two."""
    for count in range(60):
        inner = root / f"d{count}"
        inner.mkdir()
        for n in range(count):
            (inner / ("n" * (1 + count % 20) + f"{n:03}")).write_bytes(b"")


def nothing(root: Path) -> None:
    return


def host_files(root: Path) -> None:
    for source in ("/etc", "/usr/bin", "/usr/lib/python3"):
        if Path(source).is_dir():
            subprocess.run(["cp", "-a", source, root], check=False)


XATTRS = ("--xattrs", "--xattrs-include=*")


def packed(source: Path, target: Path, *options: str) -> Path:
    more = XATTRS if "--format=pax" in options else ()
    command = ["tar", "-C", source, "--numeric-owner", *more, *options, "-cf", target, "."]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    return target


def unpacked(tar: Path, target: Path) -> Path:
    target.mkdir()
    command = ["tar", "-C", target, "--numeric-owner", "-p", *XATTRS, "-xf", tar]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    return target


def checked_mount(driver: Erofs, tar: Path, target: Path) -> Path:
    with tar.open("rb") as stream:
        layer = driver.add(None, stream)
    with tar.open("rb") as stream:
        assert Digest.of_stream(stream) == layer
    driver.view("v", [layer])
    target.mkdir()
    perform(driver.mounts("v"), target)
    return target


def check(driver: Erofs) -> None:
    """What erofs-utils say of the index, where they know blocks of 512 bytes (from 1.7 on)."""
    program = shutil.which("fsck.erofs")
    if program is None or _version(program) < (1, 7):
        return
    for layer in driver.layers():
        tar = driver.tar(layer)
        assert tar is not None
        command = [program, "--extract", f"--device={tar}", tar.with_name("layer.erofs")]
        subprocess.run(command, check=True, stderr=subprocess.PIPE)


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "-V"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


SMALL = (names, deep, sparse, attributes, kinds, directories_of_every_size, nothing)
MANY = (hard_links, one_directory, host_files)
PAX = "--format=pax"
FORMS = (
    "--format=gnu",
    f"{PAX} --sparse",
    "--format=gnu --sparse",
    f"{PAX} --sparse-version=0.1 -S",
)


@pytest.mark.parametrize(
    ("fill", "options"),
    [(fill, PAX) for fill in SMALL + MANY]
    + [(fill, "--format=gnu") for fill in SMALL]
    + [(sparse, form) for form in FORMS],
)
def test_equals_what_tar_unpacks(place: Path, tmp_path: Path, fill: Fill, options: str) -> None:
    source = place / "source"
    source.mkdir(mode=0o751)
    fill(source)
    tar = packed(source, place / "layer.tar", *options.split())
    driver = Erofs(tmp_path / "layers", tmp_path / "active")
    seen = checked_mount(driver, tar, tmp_path / "seen")
    expected = unpacked(tar, place / "expected")
    ours, theirs = shown(seen), shown(expected)
    assert ours.keys() == theirs.keys()
    for path, what in theirs.items():
        assert ours[path] == what, path
    check(driver)


@pytest.mark.slow
def test_a_file_beyond_32_bits(tmp_path: Path) -> None:
    size = (1 << 33) + 12_345
    marks = (0, (1 << 31) - 3, (1 << 32) - 2, (1 << 33) - 2, size - 5)
    if shutil.disk_usage(tmp_path).free < 3 * size:
        pytest.skip("the disk is too small")
    tar = tmp_path / "large.tar"
    member = tarfile.TarInfo("large")
    member.size = size
    header = member.tobuf(tarfile.PAX_FORMAT)
    with tar.open("wb") as out:
        out.write(header)
        for mark in marks:
            out.seek(len(header) + mark)
            out.write(b"mark")
        out.truncate(len(header) + -(-size // 512) * 512 + 1024)
    driver = Erofs(tmp_path / "layers", tmp_path / "active")
    try:
        seen = checked_mount(driver, tar, tmp_path / "seen") / "large"
        tar.unlink()
        assert seen.stat().st_size == size
        with seen.open("rb") as stream:
            for mark in marks:
                stream.seek(mark)
                assert stream.read(4) == b"mark"
            assert stream.read() == bytes(size - marks[-1] - 4)
    finally:
        unmount_below(tmp_path)


def test_a_sparse_file_beyond_32_bits(place: Path, tmp_path: Path) -> None:
    size, marks = (1 << 33) + 12_345, (0, (1 << 32) - 2, (1 << 33) + 12_000)
    (place / "source").mkdir()
    with (place / "source" / "sparse").open("wb") as file:
        for mark in marks:
            file.seek(mark)
            file.write(b"mark")
        file.truncate(size)
    tar = packed(place / "source", place / "layer.tar", "--format=pax", "--sparse")
    driver = Erofs(tmp_path / "layers", tmp_path / "active")
    seen = checked_mount(driver, tar, tmp_path / "seen") / "sparse"
    assert seen.stat().st_size == size
    with seen.open("rb") as stream:
        for mark in marks:
            stream.seek(mark)
            assert stream.read(8) == b"mark".ljust(8, b"\0")
        stream.seek(size - 3)
        assert stream.read() == bytes(3)
    check(driver)
