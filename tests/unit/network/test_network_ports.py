"""Docker's port options are read as Docker reads them."""

from __future__ import annotations

import pytest

from lading.network import ports
from lading.network.ports import InvalidPort
from lading.network.values import PortRequest


def test_a_port_is_published_where_it_is_asked_for() -> None:
    asked = ports.requests({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]})
    assert asked == (PortRequest(80, "tcp", "127.0.0.1", 8080),)


@pytest.mark.parametrize("every", ["", "0.0.0.0", "::"])
def test_every_address_has_several_names(every: str) -> None:
    asked = ports.requests({"80/tcp": [{"HostIp": every, "HostPort": "8080"}]})
    assert asked == (PortRequest(80, host_port=8080),)


def test_both_families_of_every_address_are_one_wish() -> None:
    wishes = [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}]
    assert len(ports.requests({"80/tcp": wishes})) == 1


@pytest.mark.parametrize("wishes", [None, [], [{}], [{"HostPort": ""}], [{"HostPort": "0"}]])
def test_no_host_port_means_any(wishes: list[dict[str, str]] | None) -> None:
    assert ports.requests({"53/udp": wishes}) == (PortRequest(53, "udp"),)


def test_a_range_of_host_ports_means_the_first_free_one() -> None:
    (asked,) = ports.requests({"80": [{"HostPort": "8000-8010"}]})
    assert (asked.host_port, asked.host_port_end) == (8000, 8010)


def test_all_exposed_ports_are_published_but_once() -> None:
    bindings = {"80/tcp": [{"HostPort": "8080"}]}
    asked = ports.requests(bindings, ["80/tcp", "53/udp", "90-91"], publish_all=True)
    assert asked == (
        PortRequest(80, host_port=8080),
        PortRequest(53, "udp"),
        PortRequest(90),
        PortRequest(91),
    )


def test_exposed_ports_are_not_published_unasked() -> None:
    assert ports.requests({}, ["80/tcp"]) == ()


@pytest.mark.parametrize(
    "text", ["", "0/tcp", "65536/tcp", "80/icmp", "-1", "8 0", "80\n", "٨٠", "web"]
)
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidPort):
        ports.requests({text: []})


@pytest.mark.parametrize(
    "wish", [{"HostPort": "9-8"}, {"HostPort": "1-"}, {"HostIp": "web"}, {"HostIp": "1.2.3"}]
)
def test_what_is_no_place_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(InvalidPort):
        ports.requests({"80/tcp": [wish]})


def test_an_expose_may_be_a_range() -> None:
    assert ports.parse_range("8000-8002/udp") == ([8000, 8001, 8002], "udp")
