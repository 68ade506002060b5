"""Nobody gets an address that somebody has."""

from __future__ import annotations

import threading
from ipaddress import IPv4Address, IPv4Network

import pytest

from lading.network.addresses import Addresses, AddressTaken, NoAddressLeft, mac_of

SUBNET = IPv4Network("10.9.0.0/29")
GATEWAY = IPv4Address("10.9.0.1")


@pytest.fixture
def addresses() -> Addresses:
    return Addresses(SUBNET, GATEWAY)


def test_a_subnet_gives_each_of_its_addresses_once(addresses: Addresses) -> None:
    taken = [str(addresses.take()) for _ in range(5)]
    assert taken == [f"10.9.0.{n}" for n in range(2, 7)]
    with pytest.raises(NoAddressLeft, match=r"10\.9\.0\.0/29"):
        addresses.take()


def test_an_address_given_back_is_the_last_to_be_given_again(addresses: Addresses) -> None:
    first = addresses.take()
    addresses.free(first)
    assert [addresses.take() for _ in range(5)][-1] == first


def test_a_claimed_address_is_nobody_elses(addresses: Addresses) -> None:
    wanted = IPv4Address("10.9.0.3")
    assert addresses.is_free(wanted)
    addresses.claim(wanted)
    assert not addresses.is_free(wanted)
    assert wanted not in [addresses.take() for _ in range(4)]
    with pytest.raises(AddressTaken):
        addresses.claim(wanted)


def test_the_gateway_is_never_free(addresses: Addresses) -> None:
    addresses.free(GATEWAY)
    with pytest.raises(AddressTaken):
        addresses.claim(GATEWAY)


def test_addresses_elsewhere_are_not_free_here(addresses: Addresses) -> None:
    assert not addresses.is_free(IPv4Address("10.9.1.2"))


def test_many_at_once_get_different_addresses() -> None:
    addresses = Addresses(IPv4Network("10.9.0.0/22"), GATEWAY)
    taken: list[IPv4Address] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(addresses.take() for _ in range(50)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == len(taken) == 1000


def test_the_ethernet_address_is_dockers() -> None:
    assert mac_of(IPv4Address("172.17.0.2")) == "02:42:ac:11:00:02"
