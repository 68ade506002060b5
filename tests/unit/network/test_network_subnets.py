"""A bridge gets a subnet that nobody else uses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from lading.network import subnets
from lading.network.subnets import InvalidSubnet, SubnetTaken


def test_the_first_choice_is_dockers() -> None:
    assert subnets.first_free([]) == IPv4Network("172.17.0.0/16")


@pytest.mark.parametrize(
    "used", ["172.17.0.0/16", "172.17.3.0/24", "172.17.0.1/32", "172.16.0.0/15"]
)
def test_a_subnet_that_overlaps_is_passed_over(used: str) -> None:
    assert subnets.first_free([IPv4Network(used)]) == IPv4Network("172.18.0.0/16")


def test_more_engines_than_docker_has_pools_find_one() -> None:
    docker = [IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")]
    assert subnets.first_free(docker).subnet_of(IPv4Network("10.0.0.0/8"))


def test_there_may_be_none_left() -> None:
    with pytest.raises(SubnetTaken, match="non-overlapping IPv4 address pool"):
        subnets.first_free([IPv4Network("0.0.0.0/0")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.0",
        "10.0.0.1/24",
        "10.0.0.0/30",
        "10.0.0.0/4",
        "127.0.0.0/8",
        "224.0.0.0/24",
        "fd00::/64",
        "x",
    ],
)
def test_what_no_bridge_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidSubnet):
        subnets.parse_subnet(text)


def test_a_wanted_subnet_that_is_used_is_refused_by_name() -> None:
    with pytest.raises(SubnetTaken, match=r"10\.5\.0\.0/24 overlaps with 10\.0\.0\.0/8"):
        subnets.check_free(IPv4Network("10.5.0.0/24"), [IPv4Network("10.0.0.0/8")])


def test_the_gateway_is_the_first_address() -> None:
    assert subnets.gateway_of(IPv4Network("10.5.0.0/24")) == IPv4Address("10.5.0.1")
