"""Docker's USER words, and the ways they were abused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lading.runtime.users import BadUser, User, decide, resolve

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
ann:x:1000:1001:Ann:/home/ann:/bin/sh
1000:x:0:0::/root:/bin/sh
odd:x:notanumber:5::/:
short:x
far:x:4294967296:0::/:
"""
GROUP = b"""\
root:x:0:root
ann:x:1001:
staff:x:50:ann,bob
wheel:x:10:ann
7:x:70:
"""


def who(text: str, *groups: str) -> User:
    return decide(text, groups, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (), "/root")),
        ("root", User(0, 0, (), "/root")),
        ("0", User(0, 0, (), "/root")),
        ("ann", User(1000, 1001, (50, 10), "/home/ann")),
        ("1000", User(1000, 1001, (50, 10), "/home/ann")),
        ("ann:staff", User(1000, 50, (), "/home/ann")),
        ("ann:60", User(1000, 60, (), "/home/ann")),
        ("4242", User(4242, 0, (), "/")),
        ("4242:50", User(4242, 50, (), "/")),
        (":50", User(0, 50, (), "/root")),
        ("2147483647", User(2147483647, 0, (), "/")),
    ],
)
def test_names_and_numbers(text: str, user: User) -> None:
    assert who(text) == user


def test_digits_are_never_a_name() -> None:
    # CVE-2016-3697: somebody is called 1000 and has the uid 0.
    assert who("1000").uid == 1000
    assert who("ann:7").gid == 7


@pytest.mark.parametrize(
    "text",
    ["4294967296", "2147483648", "2147483648:1", "1:2147483648", "-1", "1:-1", "9" * 5000, "far"],
)
def test_numbers_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(BadUser):
        who(text)


@pytest.mark.parametrize("text", ["0x0", "nobody", "odd", "short", "+5", "ann ", "٣"])
def test_unknown_users_are_refused_in_dockers_words(text: str) -> None:
    with pytest.raises(BadUser) as caught:
        who(text)
    assert str(caught.value) == f"unable to find user {text}: no matching entries in passwd file"


def test_unknown_groups_are_refused() -> None:
    with pytest.raises(BadUser, match="unable to find group nope"):
        who("ann:nope")
    with pytest.raises(BadUser, match="unable to find group nope"):
        who("ann", "nope")


def test_further_groups_are_added_once() -> None:
    assert who("ann", "staff", "77", "1001").groups == (50, 10, 77)
    assert who("ann:staff", "wheel").groups == (10,)


def test_without_files_numbers_still_work() -> None:
    assert decide("5:6", (), b"", b"") == User(5, 6, (), "/")
    with pytest.raises(BadUser):
        decide("ann", (), b"", b"")


def test_a_million_groups_are_read_in_time() -> None:
    group = b"".join(b"g%d:x:%d:x\n" % (n, n) for n in range(200_000))
    began = time.monotonic()
    decide("ann", (), PASSWD, group)
    assert time.monotonic() - began < 3


class TestInARoot:
    def resolve(self, root: Path, text: str) -> User:
        fd = os.open(root, os.O_PATH)
        try:
            return resolve(fd, text)
        finally:
            os.close(fd)

    def test_the_roots_own_files_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/passwd").write_bytes(PASSWD)
        (tmp_path / "etc/group").write_bytes(GROUP)
        assert self.resolve(tmp_path, "ann") == who("ann")

    def test_links_stay_inside(self, tmp_path: Path) -> None:
        (tmp_path / "outside").write_text("eve:x:0:0::/:\n")
        root = tmp_path / "root"
        (root / "etc").mkdir(parents=True)
        (root / "etc/passwd").symlink_to("../../outside")
        with pytest.raises(BadUser):
            self.resolve(root, "eve")
        (root / "etc/passwd").unlink()
        (root / "lib").mkdir()
        (root / "lib/passwd").write_bytes(PASSWD)
        (root / "etc/passwd").symlink_to("/lib/passwd")
        assert self.resolve(root, "ann").uid == 1000

    def test_a_fifo_or_directory_counts_as_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        os.mkfifo(tmp_path / "etc/passwd")
        (tmp_path / "etc/group").mkdir()
        assert self.resolve(tmp_path, "5") == User(5, 0, (), "/")

    def test_a_file_without_end_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        with (tmp_path / "etc/group").open("wb") as file:
            file.truncate(1024**3)
        with pytest.raises(BadUser, match="larger than"):
            self.resolve(tmp_path, "5")
