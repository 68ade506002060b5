"""Which networks a container is on, read from Docker's settings, and what is refused of them."""

from __future__ import annotations

from typing import Any

import pytest

from lading.container import networking
from lading.container.options import (
    EndpointAddress,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)
from lading.errors import Invalid, NotFound, Unsupported
from lading.network.values import Network

KNOWN = {
    "bridge": Network("1" * 64, "bridge", "bridge", "", "10.1.0.0/24", "10.1.0.1"),
    "auto": Network("2" * 64, "auto", "bridge", "", "10.2.0.0/24", "10.2.0.1"),
    "own": Network("3" * 64, "own", "bridge", "", "10.3.0.0/24", "10.3.0.1", configured=True),
    "host": Network("4" * 64, "host", "host", ""),
}


def find(ref: str) -> Network:
    for network in KNOWN.values():
        if ref in (network.name, network.id):
            return network
    raise NotFound(f"network {ref} not found")


def completed(mode: str = "default", **endpoints: EndpointSettings) -> tuple[str, list[str]]:
    """The mode, and the networks in their order."""
    asked = NetworkingConfig(endpoints_config=endpoints or None)
    host, wanted = networking.completed(HostConfig(network_mode=mode), asked, find)
    return host.network_mode, list(wanted.endpoints_config or ())


def refused(network: str, **settings: Any) -> None:
    networking.check(KNOWN[network], EndpointSettings(**settings))


def at(address: str) -> EndpointAddress:
    return EndpointAddress(ipv4_address=address)


def test_a_container_is_on_the_default_bridge_unless_told() -> None:
    assert completed() == ("default", ["bridge"])
    assert completed(default=EndpointSettings()) == ("default", ["bridge"])


def test_the_network_of_the_mode_comes_first() -> None:
    found = completed("own", auto=EndpointSettings(), own=EndpointSettings())
    assert found == ("own", ["own", "auto"])


def test_networks_are_kept_by_name_however_they_are_called() -> None:
    assert completed("3" * 64) == ("own", ["own"])


def test_a_network_that_is_not_there_is_told() -> None:
    with pytest.raises(NotFound, match="network gone not found"):
        completed("gone")


def test_the_host_leaves_no_room_for_others() -> None:
    assert completed("host") == ("host", [])
    with pytest.raises(Invalid, match="conflicting options"):
        completed("host", own=EndpointSettings())


def test_links_of_old_are_links_of_the_user_network() -> None:
    host = HostConfig(network_mode="own", links=["db:base"])
    _, wanted = networking.completed(host, NetworkingConfig(), find)
    assert (wanted.endpoints_config or {})["own"].links == ["db:base"]


def test_links_on_the_default_bridge_are_refused_by_name() -> None:
    host = HostConfig(links=["db:base"])
    with pytest.raises(Unsupported, match="--link"):
        networking.completed(host, NetworkingConfig(), find)


@pytest.mark.parametrize(
    ("network", "address", "told"),
    [
        ("bridge", "10.1.0.5", "supported on user defined networks only"),
        ("auto", "10.2.0.5", "only when connecting to networks with user configured subnets"),
        ("own", "10.9.0.5", "no configured subnet contains IP address 10.9.0.5"),
        ("own", "nonsense", "invalid IPv4 address"),
    ],
)
def test_an_address_that_cannot_be_is_refused(network: str, address: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        refused(network, ipam_config=at(address))


def test_an_address_of_the_user_s_own_subnet_is_good() -> None:
    refused("own", ipam_config=at("10.3.0.5"))


def test_the_default_bridge_has_no_aliases() -> None:
    with pytest.raises(Invalid, match="network-scoped alias"):
        refused("bridge", aliases=["x"])


@pytest.mark.parametrize("alias", ["a\nb", "a b", "a,b", "*", "", "-x"])
@pytest.mark.parametrize("field", ["aliases", "links"])
def test_a_name_that_would_mislead_a_resolver_is_refused(field: str, alias: str) -> None:
    with pytest.raises(Invalid):
        refused("own", **{field: [alias if field == "aliases" else f"db\n:{alias}"]})


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"ipam_config": EndpointAddress(ipv6_address="fd00::5")}, "--ip6"),
        ({"ipam_config": EndpointAddress(link_local_ips=["169.254.1.1"])}, "--link-local-ip"),
        ({"driver_opts": {"com.example.x": "1"}}, "com.example.x"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_name(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        refused("own", **settings)
