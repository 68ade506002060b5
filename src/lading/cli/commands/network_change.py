"""``lading network create``, ``rm``, ``connect`` and ``disconnect``."""

from __future__ import annotations

from collections.abc import Iterable

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.options.limits import check_mac
from lading.cli.options.variables import labels, pairs
from lading.cli.references import reference
from lading.cli.several import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Body = dict[str, Any]

_NOT_FOUND = 404


def create(arguments: Arguments, client: Client) -> int:
    """Make the network, and print its ID."""
    body: Body = {
        "Name": arguments.operands[0],
        "Driver": arguments.text("driver"),
        "Internal": arguments.on("internal"),
        "Attachable": arguments.on("attachable"),
        "EnableIPv4": arguments.on("ipv4"),
        "EnableIPv6": arguments.on("ipv6"),
        "Options": pairs(arguments.many("opt")),
        "Labels": labels((), arguments.many("label")),
        "IPAM": {
            "Driver": arguments.text("ipam-driver"),
            "Options": pairs(arguments.many("ipam-opt")),
            "Config": _pools(arguments),
        },
    }
    print(client.post("/networks/create", body)["Id"])
    return 0


def remove(arguments: Arguments, client: Client) -> int:
    """Remove every network named."""

    def act(name: str) -> None:
        client.delete(f"/networks/{reference(name)}")

    forced = arguments.on("force")
    return each(
        arguments.operands,
        act,
        forgiven=lambda fault: forced and getattr(fault, "status", 0) == _NOT_FOUND,
    )


def connect(arguments: Arguments, client: Client) -> int:
    """Put a container on a network."""
    network, container = arguments.operands
    mac = arguments.text("mac-address")
    if mac:
        check_mac(mac)
    endpoint: Body = {
        "IPAMConfig": {"IPv4Address": arguments.text("ip"), "IPv6Address": arguments.text("ip6")},
        "Links": arguments.many("link"),
        "Aliases": arguments.many("alias"),
        "DriverOpts": pairs(arguments.many("driver-opt")),
        "GwPriority": arguments.number("gw-priority"),
        "MacAddress": mac,
    }
    body = {"Container": container, "EndpointConfig": endpoint}
    client.post(f"/networks/{reference(network)}/connect", body)
    return 0


def disconnect(arguments: Arguments, client: Client) -> int:
    """Take a container off a network."""
    network, container = arguments.operands
    body = {"Container": container, "Force": arguments.on("force")}
    client.post(f"/networks/{reference(network)}/disconnect", body)
    return 0


def _pools(arguments: Arguments) -> list[Body]:
    """One for each subnet, with what lies in it; Fault for what lies in none."""
    pools: list[Body] = [{"Subnet": text} for text in arguments.many("subnet")]
    for text in arguments.many("ip-range"):
        _set(_pool_of(pools, text, "range"), "IPRange", text)
    for text in arguments.many("gateway"):
        _set(_pool_of(pools, text, "gateway"), "Gateway", text)
    for name, text in pairs(arguments.many("aux-address")).items():
        pool = _pool_of(pools, text, "aux-address")
        pool.setdefault("AuxiliaryAddresses", {})[name] = text
    return pools


def _set(pool: Body, field: str, text: str) -> None:
    if field in pool:
        what = "gateways" if field == "Gateway" else "ranges"
        raise Fault(f"cannot configure multiple {what} on the same subnet ({pool['Subnet']})")
    pool[field] = text


def _pool_of(pools: Iterable[Body], text: str, what: str) -> Body:
    import ipaddress

    if not pools:
        raise Fault(f"no subnet is given for {what} {text}")
    try:
        first = ipaddress.ip_network(text, strict=False).network_address
        nets = [(pool, ipaddress.ip_network(pool["Subnet"], strict=False)) for pool in pools]
    except ValueError as error:
        raise Fault(str(error)) from None
    for pool, subnet in nets:
        if first in subnet:
            return pool
    raise Fault(f"no matching subnet for {what} {text}")


COMMANDS = {
    "network connect": Command(
        connect,
        "[OPTIONS] NETWORK CONTAINER",
        example="lading network connect --alias db back postgres",
        flags=(
            Flag("alias", LIST, "Add network-scoped alias for the container"),
            Flag("driver-opt", LIST, "Driver options for the network"),
            Flag("gw-priority", NUMBER, "Highest gw-priority provides the default gateway"),
            Flag("ip", TEXT, 'IPv4 address (e.g., "172.30.100.104")'),
            Flag("ip6", TEXT, 'IPv6 address (e.g., "2001:db8::33")'),
            Flag("link", LIST, "Add link to another container"),
            Flag("link-local-ip", LIST, "Add a link-local address", refused=True),
            Flag("mac-address", TEXT, 'MAC address (e.g., "92:d0:c6:0a:29:33")'),
        ),
        operands=(2, 2),
        complete="networks",
    ),
    "network create": Command(
        create,
        "[OPTIONS] NETWORK",
        example="lading network create --internal --subnet 10.8.0.0/24 back",
        flags=(
            Flag("attachable", SWITCH, "Enable manual container attachment"),
            Flag("aux-address", LIST, "Addresses that no container gets (name=address)"),
            Flag("config-from", TEXT, "The network to copy the configuration from", refused=True),
            Flag("config-only", SWITCH, "Create a configuration only network", refused=True),
            Flag("driver", TEXT, "Driver to manage the network", short="d", default="bridge"),
            Flag("gateway", LIST, "IPv4 gateway for the subnet"),
            Flag("ingress", SWITCH, "Create swarm routing-mesh network", refused=True),
            Flag("internal", SWITCH, "Restrict external access to the network"),
            Flag("ip-range", LIST, "Allocate container addresses from a part of the subnet"),
            Flag("ipam-driver", TEXT, "IP address management driver", default="default"),
            Flag("ipam-opt", LIST, "Set IPAM driver specific options"),
            Flag("ipv4", SWITCH, "Enable IPv4 address assignment", default=True),
            Flag("ipv6", SWITCH, "Enable IPv6 address assignment"),
            Flag("label", LIST, "Set metadata on a network"),
            Flag("opt", LIST, "Set driver specific options", short="o"),
            Flag("scope", TEXT, "Control the network's scope", refused=True),
            Flag("subnet", LIST, "Subnet in CIDR format that represents a network segment"),
        ),
        operands=(1, 1),
    ),
    "network disconnect": Command(
        disconnect,
        "[OPTIONS] NETWORK CONTAINER",
        example="lading network disconnect back postgres",
        flags=(Flag("force", SWITCH, "Force the container to disconnect", short="f"),),
        operands=(2, 2),
        complete="networks",
    ),
    "network rm": Command(
        remove,
        "[OPTIONS] NETWORK [NETWORK...]",
        example="lading network rm back",
        flags=(Flag("force", SWITCH, "Do not error if the network does not exist", short="f"),),
        operands=(1, ANY),
        complete="networks",
    ),
}
