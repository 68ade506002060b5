"""What a user asks a new network to be, and what is refused before anything is made.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from lading.errors import Denied, Invalid, Unsupported
from lading.network import values
from lading.network.subnets import gateway_of, parse_subnet
from lading.network.values import Network, truth

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_INTERFACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}")  # IFNAMSIZ, with its NUL
_SMALLEST_MTU, _LARGEST_MTU = 68, 65535
_SINGLE = {"host": "host", "none": "null", "null": "null"}


class InvalidNetwork(Invalid):
    """Raised for a network that cannot be."""


class UnsupportedNetwork(Unsupported):
    """Raised for what Docker's networks can be and lading's not yet."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by lading yet")


class PredefinedNetwork(Denied):
    """Raised for what cannot be done to bridge, host and none, in Docker's words."""


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """One line of a network's addresses; ``""`` leaves the choice to the engine."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """The whole of it."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv4: bool = True
    ipv6: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    pools: Sequence[PoolRequest] = ()


def network(asked: NetworkRequest, identity: str, created: str) -> Network:
    """The network that *asked* describes, its subnet ``""`` where any will do.

    InvalidNetwork, InvalidSubnet, UnsupportedNetwork, PredefinedNetwork.
    """
    check_name(asked.name)
    _check_driver(asked)
    pool = _pool(asked)
    return Network(
        *(identity, asked.name, "bridge", created),
        subnet=pool.subnet,
        gateway=pool.gateway,
        interface=_interface(asked.options),
        internal=asked.internal,
        labels=dict(asked.labels),
        options=_options(asked.options),
        configured=bool(pool.subnet),
        ip_range=pool.ip_range,
        reserved=pool.reserved,
        attachable=asked.attachable,
    )


def check_name(name: str) -> str:
    """*name*, when a network may have it."""
    if not name:
        raise InvalidNetwork("network name cannot be empty")
    if name in (*values.PREDEFINED, "default"):
        raise PredefinedNetwork(f"operation is not permitted on predefined {name} network")
    if not _NAME.fullmatch(name):
        raise InvalidNetwork(
            f"invalid network name {name[:80]!r}, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return name


def _check_driver(asked: NetworkRequest) -> None:
    if asked.driver in _SINGLE:
        raise PredefinedNetwork(f'only one instance of "{asked.driver}" network is allowed')
    if asked.driver != "bridge":
        raise UnsupportedNetwork(f"network driver {asked.driver[:80]!r}")
    if asked.ipv6:
        raise UnsupportedNetwork("--ipv6")
    if not asked.ipv4:
        raise UnsupportedNetwork("--ipv4=false")
    if asked.ipam_driver not in ("", "default"):
        raise UnsupportedNetwork(f"--ipam-driver {asked.ipam_driver[:80]!r}")
    if asked.ipam_options:
        raise UnsupportedNetwork(f"--ipam-opt {next(iter(asked.ipam_options))[:80]!r}")


def _pool(asked: NetworkRequest) -> PoolRequest:
    if not asked.pools:
        return PoolRequest()
    if len(asked.pools) > 1:
        raise UnsupportedNetwork("a network with several subnets")
    pool = asked.pools[0]
    if not pool.subnet:
        if pool.gateway or pool.ip_range or pool.reserved:
            raise InvalidNetwork("invalid network config: a subnet has to be given with the rest")
        return pool
    if ":" in pool.subnet:
        raise UnsupportedNetwork("an IPv6 subnet")
    return _checked(pool)


def _checked(pool: PoolRequest) -> PoolRequest:
    subnet = parse_subnet(pool.subnet)
    gateway = _inside(subnet, pool.gateway, "gateway") if pool.gateway else gateway_of(subnet)
    ends = (subnet.network_address, subnet.broadcast_address)
    reserved = {
        name: str(_inside(subnet, text, "auxiliary address"))
        for name, text in pool.reserved.items()
    }
    if gateway in ends:
        raise InvalidNetwork(f"invalid gateway {gateway}: no host can have it")
    if str(gateway) in reserved.values():
        raise InvalidNetwork(f"the auxiliary address {gateway} is the gateway's")
    return PoolRequest(str(subnet), str(gateway), _range(subnet, pool.ip_range), reserved)


def _range(subnet: IPv4Network, text: str) -> str:
    if not text:
        return ""
    try:
        found = IPv4Network(text, strict=False)
    except ValueError:
        raise InvalidNetwork(f"invalid ip-range {text[:80]!r}") from None
    if not found.subnet_of(subnet):
        raise InvalidNetwork(f"invalid ip-range {text}: not in subnet {subnet}")
    return str(found)


def _inside(subnet: IPv4Network, text: str, what: str) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError:
        raise InvalidNetwork(f"invalid {what} {text[:80]!r}") from None
    if address not in subnet:
        raise InvalidNetwork(f"no matching subnet for {what} {text}")
    return address


def _interface(options: Mapping[str, str]) -> str:
    name = options.get(values.BRIDGE_NAME, "")
    if name and not _INTERFACE.fullmatch(name):
        raise InvalidNetwork(f"invalid interface name {name[:80]!r}")
    return name


def _is_mtu(text: str) -> bool:
    return text.isascii() and text.isdigit() and _SMALLEST_MTU <= int(text) <= _LARGEST_MTU


def _is_switch(text: str) -> bool:
    try:
        truth(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


_OPTIONS: Mapping[str, Callable[[str], bool]] = {  # and what their values may be
    values.BRIDGE_NAME: lambda text: True,  # looked at above
    values.ICC: _is_switch,
    values.MASQUERADE: _is_switch,
    values.HOST_BINDING: _is_address,
    values.MTU: _is_mtu,
}


def _options(options: Mapping[str, str]) -> dict[str, str]:
    for name, text in options.items():
        if name not in _OPTIONS:
            raise UnsupportedNetwork(f"network option {name[:80]!r}")
        if not _OPTIONS[name](text):
            raise InvalidNetwork(f"invalid value for {name}: {text[:80]!r}")
    return dict(options)
