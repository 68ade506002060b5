"""Extended attributes are kept once when several inodes have them, and refused when too large."""

from __future__ import annotations

import pytest

from lading.layer.entry import InvalidTar
from lading.snapshot.erofs_xattrs import Xattrs, count

HEADER = 12


def test_what_one_inode_has_follows_it() -> None:
    xattrs = Xattrs([{b"user.a": b"xyz"}])
    body = xattrs.body({b"user.a": b"xyz"})
    assert xattrs.shared == b""
    assert body == bytes(HEADER) + b"\1\1\3\0axyz"
    assert count(body) == 1 + 8 // 4


def test_what_several_have_is_kept_once() -> None:
    inode = {b"user.same": b"for all", b"user.own": b"1"}
    xattrs = Xattrs([inode, {b"user.same": b"for all", b"user.own": b"2"}])
    body = xattrs.body(inode)
    assert xattrs.shared == b"\4\1\7\0samefor all\0"
    assert body == b"\0\0\0\0\1" + bytes(7) + b"\0\0\0\0" + b"\3\1\1\0own1"


@pytest.mark.parametrize(
    ("name", "index", "suffix"),
    [
        (b"trusted.overlay.opaque", 4, b"overlay.opaque"),
        (b"security.capability", 6, b"capability"),
        (b"system.posix_acl_access", 2, b""),
        (b"system.posix_acl_default", 3, b""),
    ],
)
def test_namespaces_have_numbers(name: bytes, index: int, suffix: bytes) -> None:
    body = Xattrs([]).body({name: b"v"})
    assert body[HEADER : HEADER + 4 + len(suffix)] == bytes([len(suffix), index, 1, 0]) + suffix


@pytest.mark.parametrize("name", [b"user.", b"system.other", b"unknown", b"os2.x"])
def test_names_without_a_number_are_left_out(name: bytes) -> None:
    assert Xattrs([{name: b""}]).body({name: b""}) == b""


def test_none_is_nothing() -> None:
    assert Xattrs([]).body({}) == b""
    assert count(b"") == 0


def test_a_value_too_large_is_refused() -> None:
    assert Xattrs([]).body({b"user.a": bytes(0xFFFF)})
    with pytest.raises(InvalidTar, match="65536 bytes"):
        Xattrs([]).body({b"user.a": bytes(0x10000)})


def test_too_many_are_refused() -> None:
    many = {b"user.%d" % n: bytes(60_000) for n in range(5)}
    with pytest.raises(InvalidTar, match="more extended attributes"):
        Xattrs([]).body(many)
