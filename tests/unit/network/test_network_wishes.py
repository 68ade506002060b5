"""What a new network may be: the rest is refused by name before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from lading.errors import Denied, Invalid, Unsupported
from lading.network import wishes
from lading.network.values import Network
from lading.network.wishes import NetworkRequest, PoolRequest

BRIDGE = "com.docker.network.bridge"


def made(name: str = "back", **asked: Any) -> Network:
    return wishes.network(NetworkRequest(name, **asked), "f" * 64, "2026-01-01T00:00:00Z")


def test_nothing_said_leaves_the_addresses_to_the_engine() -> None:
    network = made()
    assert (network.subnet, network.gateway, network.configured) == ("", "", False)
    assert (network.talks, network.masquerades, network.mtu) == (True, True, 0)


def test_a_subnet_has_its_first_address_as_gateway_unless_told() -> None:
    assert made(pools=[PoolRequest("10.8.0.0/24")]).gateway == "10.8.0.1"
    assert made(pools=[PoolRequest("10.8.0.0/24", gateway="10.8.0.9")]).gateway == "10.8.0.9"


def test_options_decide_what_the_network_does() -> None:
    network = made(
        options={
            f"{BRIDGE}.enable_icc": "false",
            f"{BRIDGE}.enable_ip_masquerade": "0",
            f"{BRIDGE}.name": "mine0",
            "com.docker.network.driver.mtu": "1400",
        }
    )
    assert (network.talks, network.masquerades, network.mtu) == (False, False, 1400)
    assert network.interface == "mine0"


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "-a", "a/b", "a\nb", "a:b", "x" * 129, ".hidden", "ä"]
)
def test_a_name_that_could_mean_something_else_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        made(name)


@pytest.mark.parametrize("name", ["bridge", "host", "none", "default"])
def test_names_of_every_engine_are_refused(name: str) -> None:
    with pytest.raises(Denied, match=f"operation is not permitted on predefined {name} network"):
        made(name)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"driver": "overlay"}, "overlay"),
        ({"driver": "macvlan"}, "macvlan"),
        ({"ipv6": True}, "--ipv6"),
        ({"ipv4": False}, "--ipv4"),
        ({"ipam_driver": "dhcp"}, "dhcp"),
        ({"ipam_options": {"foo": "1"}}, "foo"),
        ({"options": {"com.example.foo": "1"}}, "com.example.foo"),
        ({"pools": [PoolRequest("fd00::/64")]}, "IPv6"),
        ({"pools": [PoolRequest("10.8.0.0/24"), PoolRequest("10.9.0.0/24")]}, "several"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_name(asked: dict[str, Any], word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        made(**asked)


@pytest.mark.parametrize("driver", ["host", "null", "none"])
def test_there_is_one_network_of_the_other_kinds(driver: str) -> None:
    with pytest.raises(Denied, match=f'only one instance of "{driver}" network is allowed'):
        made(driver=driver)


@pytest.mark.parametrize(
    "pool",
    [
        PoolRequest("10.8.0.1/24"),
        PoolRequest("nonsense"),
        PoolRequest(gateway="10.8.0.1"),
        PoolRequest("10.8.0.0/24", gateway="10.9.0.1"),
        PoolRequest("10.8.0.0/24", gateway="10.8.0.0"),
        PoolRequest("10.8.0.0/24", gateway="10.8.0.255"),
        PoolRequest("10.8.0.0/24", ip_range="10.9.0.0/25"),
        PoolRequest("10.8.0.0/24", ip_range="x"),
        PoolRequest("10.8.0.0/24", reserved={"a": "10.9.0.1"}),
        PoolRequest("10.8.0.0/24", reserved={"a": "10.8.0.1"}),
    ],
)
def test_addresses_that_do_not_fit_together_are_refused(pool: PoolRequest) -> None:
    with pytest.raises(Invalid):
        made(pools=[pool])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (f"{BRIDGE}.name", "a/b"),
        (f"{BRIDGE}.name", "x" * 16),
        (f"{BRIDGE}.enable_icc", "maybe"),
        (f"{BRIDGE}.host_binding_ipv4", "::1"),
        ("com.docker.network.driver.mtu", "0"),
        ("com.docker.network.driver.mtu", "1e3"),
        ("com.docker.network.driver.mtu", "70000"),
    ],
)
def test_values_that_an_option_cannot_have_are_refused(option: str, value: str) -> None:
    with pytest.raises(Invalid):
        made(options={option: value})


def test_a_closed_network_hides_nobody_behind_the_host() -> None:
    assert not made(internal=True).masquerades
