"""Which addresses a bridge may have: those that nobody else on this machine uses.

Two engines that start at once would both see the same free subnet, so whoever chooses
holds `machine_lock` until the choice can be seen in the routing table.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lading.errors import Conflict, Denied, Invalid
from lading.network import hostdns, links
from lading.network.netlink import Netlink

_LOCKED = Path("/run")  # the directory itself is locked: nothing is left behind
_SMALLEST = 29  # gateway, container and room to breathe
# Docker's default pools, and more of the same kind for machines with many engines.
_POOLS = (
    *(IPv4Network(f"172.{n}.0.0/16") for n in range(17, 32)),
    *(IPv4Network(f"192.168.{n}.0/20") for n in range(0, 256, 16)),
    *(IPv4Network(f"10.{n}.0.0/16") for n in range(201, 255)),
)


class InvalidSubnet(Invalid):
    """Raised for a subnet that no bridge can have."""


class SubnetTaken(Conflict):
    """Raised where a subnet overlaps with one that the machine uses already."""


class PoolOverlaps(Denied):
    """Raised where a subnet overlaps with another network's, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("invalid pool request: Pool overlaps with other one on this address space")


@contextmanager
def machine_lock() -> Iterator[None]:
    """Let one engine of this machine at a time choose a subnet."""
    descriptor = os.open(_LOCKED, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def parse_subnet(text: str) -> IPv4Network:
    """Read ``10.5.0.0/24``; InvalidSubnet."""
    try:
        subnet = IPv4Network(text)
    except ValueError as error:
        raise InvalidSubnet(f"invalid subnet {text!r}: {error}") from None
    if not 8 <= subnet.prefixlen <= _SMALLEST or subnet.is_loopback or subnet.is_multicast:
        raise InvalidSubnet(f"invalid subnet {text!r}: no bridge can have it")
    return subnet


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The bridge's own address: the first one."""
    return subnet.network_address + 1


def first_free(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first of Docker's default pools that overlaps with none *taken*; SubnetTaken."""
    used = list(taken)
    for pool in _POOLS:
        if not any(pool.overlaps(network) for network in used):
            return pool
    raise SubnetTaken("could not find an available, non-overlapping IPv4 address pool")


def check_free(subnet: IPv4Network, taken: Iterable[IPv4Network]) -> None:
    """SubnetTaken when *subnet* overlaps with one *taken*."""
    for network in taken:
        if subnet.overlaps(network):
            raise SubnetTaken(f"subnet {subnet} overlaps with {network}, which this host uses")


def check_apart(subnet: IPv4Network, others: Iterable[IPv4Network]) -> None:
    """PoolOverlaps when *subnet* overlaps with one of this engine's own."""
    if any(map(subnet.overlaps, others)):
        raise PoolOverlaps


def choose(
    interface: str, *, wanted: str | None, before: str, others: Iterable[IPv4Network] = ()
) -> IPv4Network:
    """The subnet for a bridge: *wanted*, else the one it had *before* if that is free, else any.

    *others* are kept free as well: what networks have whose bridges are not there yet.
    The caller holds `machine_lock`.  InvalidSubnet; SubnetTaken when *wanted* is somebody's.
    """
    with Netlink() as wire:
        used = [*taken(wire, interface, hostdns.server_addresses()), *others]
    if wanted is not None:
        subnet = parse_subnet(wanted)
        check_free(subnet, used)
        return subnet
    if before and not any(IPv4Network(before).overlaps(network) for network in used):
        return IPv4Network(before)
    return first_free(used)


def taken(wire: Netlink, interface: str, servers: Iterable[str] = ()) -> list[IPv4Network]:
    """What routes, links and name servers use on this host, *interface*'s own left out."""
    own = {link.index for link in links.links(wire) if link.name == interface}
    used = [network for index, network in links.routes(wire) if index not in own]
    used += [a.network for index, a in links.addresses(wire) if index not in own]
    used += [IPv4Network(server) for server in servers if ":" not in server]
    return [network for network in used if network.prefixlen > 0]
