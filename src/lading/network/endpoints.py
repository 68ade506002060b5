"""A container's places on its networks, as values.  Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network

from lading.errors import Conflict, Denied, LadingError
from lading.network.rules import Forward
from lading.network.values import (
    HOST_BINDING,
    AttachRequest,
    Endpoint,
    EndpointRequest,
    Network,
    PortRequest,
    Sandbox,
)
from lading.network.wiring import Wired

_EVERY = "0.0.0.0"


class AlreadyConnected(Denied):
    """Raised where a container is on a network already, in Docker's words."""

    def __init__(self, name: str, network: Network) -> None:
        super().__init__(f"endpoint with name {name} already exists in network {network.name}")


class NotConnected(Conflict):
    """Raised where a container is not on a network, in Docker's words."""

    def __init__(self, container_id: str, network: Network) -> None:
        super().__init__(f"container {container_id} is not connected to the network {network.name}")


def new_endpoint(wish: EndpointRequest, network: Network) -> Endpoint:
    """What is wished for on a network, before anything is there."""
    return Endpoint(
        *(secrets.token_hex(32), network.id, network.name),
        aliases=wish.aliases,
        links=wish.links,
        priority=wish.priority,
    )


def filled(endpoint: Endpoint, wired: Wired, network: Network, interface: str) -> Endpoint:
    """The same with what there is now."""
    return replace(
        endpoint,
        interface=interface,
        host_interface=wired.host_interface,
        address=str(wired.address),
        prefix_length=IPv4Network(network.subnet).prefixlen,
        gateway="" if network.internal else network.gateway,
        mac=wired.mac,
        resolver=network.gateway if network.has_names else "",
    )


def free_interface(sandbox: Sandbox) -> str:
    """The first name of an interface that the container does not have yet."""
    taken = {endpoint.interface for endpoint in sandbox.endpoints}
    return next(name for n in range(len(taken) + 1) if (name := f"eth{n}") not in taken)


def forwards(sandbox: Sandbox) -> tuple[Forward, ...]:
    """How published ports lead to the container: nowhere, where nothing leads out of it."""
    if sandbox.way_out is None:
        return ()
    return tuple(
        Forward(each.proto, each.host_ip, each.host_port, sandbox.address, each.container_port)
        for each in sandbox.ports
    )


def bound_ports(
    ports: Sequence[PortRequest], wanted: Sequence[tuple[EndpointRequest, Network]]
) -> tuple[PortRequest, ...]:
    """*ports*, on the address that the network leading out has for those that name none."""
    leading = [each for each in wanted if not each[1].internal]
    _, network = min(leading, key=lambda each: (-each[0].priority, each[1].name), default=wanted[0])
    address = network.options.get(HOST_BINDING, _EVERY)
    if address == _EVERY:
        return tuple(ports)
    return tuple(replace(each, host_ip=each.host_ip or address) for each in ports)


@contextmanager
def told_of(endpoint: Endpoint, request: AttachRequest) -> Iterator[None]:
    """Put Docker's words for whose port it is before what is raised."""
    try:
        yield
    except LadingError as error:
        error.args = (
            "driver failed programming external connectivity on endpoint "
            f"{request.name} ({endpoint.id}): {error}",
        )
        raise
