"""Netlink's attributes survive the trip, and the kernel's refusals are told."""

from __future__ import annotations

import errno

import pytest

from lading.network import links, netlink
from lading.network.netlink import Message, Netlink, NetlinkError


def test_attributes_are_padded_and_read_back() -> None:
    raw = netlink.attribute(1, b"abc") + netlink.number(2, 7) + netlink.text(3, "x")
    assert len(raw) % 4 == 0
    assert netlink.attributes(raw) == {1: b"abc", 2: b"\x07\0\0\0", 3: b"x\0"}


def test_nested_attributes_are_attributes() -> None:
    outer = netlink.attributes(netlink.nested(18, netlink.text(1, "veth")))
    assert netlink.attributes(outer[18]) == {1: b"veth\0"}


@pytest.mark.parametrize("raw", [b"\1", b"\0\0\0\0", b"\2\0\1\0rest"])
def test_what_is_cut_off_ends_the_reading(raw: bytes) -> None:
    assert netlink.attributes(raw) == {}


def test_the_loopback_link_is_listed() -> None:
    with Netlink() as wire:
        assert any(link.name == "lo" and link.index == 1 for link in links.links(wire))


def test_a_refusal_has_the_kernels_number() -> None:
    with Netlink() as wire:
        with pytest.raises(NetlinkError) as refused:
            wire.run(Message(9999, b""))
        assert refused.value.errno in (errno.EOPNOTSUPP, errno.EPERM)
        assert links.links(wire)
