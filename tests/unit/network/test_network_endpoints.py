"""Which of several networks leads out, what follows from it, and DNS's few bytes."""

from __future__ import annotations

from lading.network import asking, rules
from lading.network.endpoints import bound_ports, forwards, free_interface
from lading.network.rules import Bridged
from lading.network.subnets import IPv4Network
from lading.network.values import (
    HOST_BINDING,
    Endpoint,
    EndpointRequest,
    Network,
    PortBinding,
    PortRequest,
    Sandbox,
)


def at(name: str, interface: str, *, leads: bool = True, priority: int = 0) -> Endpoint:
    gateway = "10.0.0.1" if leads else ""
    return Endpoint(
        *("e" * 64, name, name, interface, "v", f"10.0.0.{len(name)}"),
        gateway=gateway,
        priority=priority,
    )


def box(*endpoints: Endpoint) -> Sandbox:
    return Sandbox(
        "c" * 64, "web", "a", "/n", endpoints, (PortBinding(80, "tcp", "0.0.0.0", 8080),)
    )


def test_the_first_by_name_leads_out() -> None:
    assert box(at("bb", "eth0"), at("a", "eth1")).way_out == at("a", "eth1")


def test_the_highest_priority_leads_out() -> None:
    chosen = at("bb", "eth1", priority=1)
    assert box(at("a", "eth0"), chosen).way_out == chosen


def test_a_closed_network_leads_nowhere() -> None:
    closed = box(at("a", "eth0", leads=False))
    assert closed.way_out is None and closed.address == "10.0.0.1"
    assert forwards(closed) == ()


def test_ports_lead_to_the_address_that_leads_out() -> None:
    (forward,) = forwards(box(at("bb", "eth0", leads=False), at("ccc", "eth1")))
    assert (forward.host_port, forward.address) == (8080, "10.0.0.3")


def test_an_interface_takes_the_first_name_that_is_free() -> None:
    assert free_interface(box()) == "eth0"
    assert free_interface(box(at("a", "eth0"), at("b", "eth2"))) == "eth1"


def test_ports_without_an_address_take_the_network_s_own() -> None:
    network = Network("n", "n", "bridge", "", options={HOST_BINDING: "127.0.0.1"})
    asked = (PortRequest(80), PortRequest(81, host_ip="10.0.0.1"))
    found = bound_ports(asked, [(EndpointRequest("n"), network)])
    assert [each.host_ip for each in found] == ["127.0.0.1", "10.0.0.1"]


def test_only_networks_that_talk_are_let_talk_and_only_open_ones_are_masked() -> None:
    quiet = Bridged("quiet", IPv4Network("10.1.0.0/24"), talks=False, resolver="10.1.0.1")
    shut = Bridged("shut", IPv4Network("10.2.0.0/24"), masquerades=False, internal=True)
    text = rules.table_text("t", [quiet, shut], [])
    assert 'set talking { type ifname . ifname; elements = { "shut" . "shut" }; }' in text
    assert "set masked { type ipv4_addr; flags interval; elements = { 10.1.0.0/24 }; }" in text
    assert 'set internal { type ifname; elements = { "shut" }; }' in text
    assert 'elements = { "quiet" . 10.1.0.1 }' in text


def test_a_question_is_asked_as_the_protocol_wants_it() -> None:
    message = asking.question(0x0102, "db.x")
    assert message == b"\1\2\1\0\0\1\0\0\0\0\0\0\2db\1x\0\0\1\0\1"


def test_only_an_answer_to_the_question_counts() -> None:
    answer = b"\1\2\x81\x80\0\1\0\3\0\0\0\0"
    assert asking.answers(0x0102, answer) == 3
    assert asking.answers(0x0103, answer) == 0
    assert asking.answers(0x0102, b"\1\2") == 0
