"""Network modes and Ethernet addresses are parsed, not believed."""

from __future__ import annotations

import pytest

from lading.network.values import (
    Endpoint,
    InvalidMac,
    InvalidNetworkMode,
    NetworkMode,
    Sandbox,
    parse_mac,
)


@pytest.mark.parametrize(
    ("text", "kind", "name", "private"),
    [
        ("", "bridge", "", True),
        ("default", "bridge", "", True),
        ("bridge", "bridge", "", True),
        ("none", "none", "", True),
        ("host", "host", "", False),
        ("container:web", "container", "web", False),
        ("mynet", "network", "mynet", True),
    ],
)
def test_a_mode_says_whose_network_it_is(text: str, kind: str, name: str, private: bool) -> None:
    mode = NetworkMode.parse(text)
    assert (mode.kind, mode.name, mode.is_private) == (kind, name, private)
    assert NetworkMode.parse(str(mode)) == mode


@pytest.mark.parametrize("text", ["container:", "ns:/proc/1/ns/net", ":x"])
def test_modes_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(InvalidNetworkMode):
        NetworkMode.parse(text)


def test_an_ethernet_address_is_told_in_one_way() -> None:
    assert parse_mac("02-42-AC-11-00-02") == "02:42:ac:11:00:02"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:42:ac:11:00",
        "02:42:ac:11:00:02\n",
        "zz:42:ac:11:00:02",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
    ],
)
def test_what_no_interface_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidMac):
        parse_mac(text)


def test_a_sandbox_shows_the_first_address_it_has() -> None:
    none = Endpoint("1", "n", "none")
    bridge = Endpoint("2", "b", "bridge", address="172.17.0.2", gateway="172.17.0.1")
    assert Sandbox("c", "web", "none", endpoints=(none,)).address == ""
    both = Sandbox("c", "web", "bridge", endpoints=(none, bridge))
    assert (both.address, both.gateway) == ("172.17.0.2", "172.17.0.1")
