"""A published port is nobody else's: neither another container's nor another program's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lading.network.holds import (
    AddressNotHere,
    CannotPublish,
    Holds,
    NoPortLeft,
    PortTaken,
)
from lading.network.values import PortBinding, PortRequest

LOCAL = "127.0.0.1"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _hold(holds: Holds, stack: ExitStack, *asked: PortRequest) -> list[PortBinding]:
    bindings, sockets = holds.hold(asked)
    for each in sockets:
        stack.enter_context(each)
    return bindings


def _free_port() -> int:
    with socket.create_server((LOCAL, 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_any_port_is_one_nobody_has(stack: ExitStack, proto: str) -> None:
    holds = Holds()
    found = [_hold(holds, stack, PortRequest(80, proto))[0] for _ in range(5)]
    assert {each.host_ip for each in found} == {"0.0.0.0"}
    assert len({each.host_port for each in found}) == 5


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize("second", ["", LOCAL])
def test_a_port_of_every_address_is_taken_everywhere(
    stack: ExitStack, proto: str, second: str
) -> None:
    holds, port = Holds(), _free_port()
    _hold(holds, stack, PortRequest(80, proto, "", port))
    with pytest.raises(PortTaken, match=f":{port} failed: port is already allocated"):
        _hold(holds, stack, PortRequest(81, proto, second, port))


def test_one_address_leaves_the_port_of_another(stack: ExitStack) -> None:
    holds, port = Holds(), _free_port()
    _hold(holds, stack, PortRequest(80, "tcp", LOCAL, port))
    _hold(holds, stack, PortRequest(80, "tcp", "127.0.0.2", port))


def test_tcp_leaves_udp(stack: ExitStack) -> None:
    holds, port = Holds(), _free_port()
    _hold(holds, stack, PortRequest(53, "tcp", LOCAL, port), PortRequest(53, "udp", LOCAL, port))


def test_what_another_program_listens_on_is_taken(stack: ExitStack) -> None:
    port = stack.enter_context(socket.create_server((LOCAL, 0))).getsockname()[1]
    with pytest.raises(PortTaken, match=f"Bind for 0.0.0.0:{port} failed"):
        _hold(Holds(), stack, PortRequest(80, host_port=port))


def test_another_program_cannot_have_what_is_held(stack: ExitStack) -> None:
    (held,) = _hold(Holds(), stack, PortRequest(80))
    with pytest.raises(OSError, match="in use"):
        socket.create_server((LOCAL, held.host_port))


def test_all_or_none_are_held(stack: ExitStack) -> None:
    holds, port = Holds(), _free_port()
    twice = PortRequest(80, host_port=port), PortRequest(81, host_port=port)
    with pytest.raises(PortTaken):
        _hold(holds, stack, *twice)
    _hold(holds, stack, twice[0])


def test_a_range_gives_its_first_free_port_until_none_is(stack: ExitStack) -> None:
    holds, port = Holds(), _free_port()
    asked = PortRequest(80, "udp", LOCAL, port, port)
    _hold(holds, stack, asked)
    with pytest.raises(NoPortLeft, match="all ports are allocated"):
        _hold(holds, stack, asked)


def test_a_released_port_can_be_held_again(stack: ExitStack) -> None:
    holds = Holds()
    bindings, sockets = holds.hold([PortRequest(80)])
    sockets[0].close()
    asked = PortRequest(80, host_port=bindings[0].host_port)
    with pytest.raises(PortTaken):
        _hold(holds, stack, asked)
    holds.release(bindings)
    holds.release(bindings)
    _hold(holds, stack, asked)


def test_what_a_running_container_publishes_is_remembered(stack: ExitStack) -> None:
    holds, port = Holds(), _free_port()
    holds.remember([PortBinding(80, "tcp", "0.0.0.0", port)])
    with pytest.raises(PortTaken):
        _hold(holds, stack, PortRequest(80, host_port=port))


def test_an_address_of_elsewhere_is_told_in_dockers_words(stack: ExitStack) -> None:
    with pytest.raises(
        AddressNotHere, match=r"listen tcp4 198\.51\.100\.9:80: bind: cannot assign"
    ):
        _hold(Holds(), stack, PortRequest(80, "tcp", "198.51.100.9", 80))


def test_ipv6_addresses_are_refused_by_name(stack: ExitStack) -> None:
    with pytest.raises(CannotPublish, match="::1"):
        _hold(Holds(), stack, PortRequest(80, "tcp", "::1", 8080))
