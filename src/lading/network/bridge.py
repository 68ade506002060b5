"""The bridge itself: its link, its address, and what the host must let pass for it."""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from lading.network import links
from lading.network.addresses import mac_of
from lading.network.netlink import Netlink
from lading.network.values import Network

_IPV4 = Path("/proc/sys/net/ipv4")


def ensure(network: Network, ports: Collection[str]) -> int:
    """See to it that the bridge is there, has its address, and has *ports*; its index."""
    subnet = IPv4Network(network.subnet)
    gateway = IPv4Address(network.gateway)
    with Netlink() as wire:
        known = {link.name: link for link in links.links(wire)}
        if network.interface not in known:
            links.add_bridge(wire, network.interface, mac_of(gateway))
        index = socket.if_nametoindex(network.interface)
        if network.mtu:
            links.set_mtu(wire, index, network.mtu)
        links.add_address(wire, index, IPv4Interface((gateway, subnet.prefixlen)))
        links.set_up(wire, index)
        for name in ports:
            if name in known and known[name].master != index:
                links.set_master(wire, known[name].index, index)
                links.open_port(wire, known[name].index, isolated=not network.talks)
    _let_pass(network.interface)
    return index


def remove(interface: str) -> None:
    """Idempotent."""
    with Netlink() as wire:
        links.remove(wire, interface)


def index_of(interface: str) -> int | None:
    """The bridge's index, None when it is gone."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return None


def subnet_of(interface: str) -> IPv4Network | None:
    """The subnet that the bridge has at this moment, None when it has or is none."""
    index = index_of(interface)
    if index is None:
        return None
    with Netlink() as wire:
        return next((a.network for i, a in links.addresses(wire) if i == index), None)


def _let_pass(interface: str) -> None:
    """Forward; and let answers to the host's loopback clients in, which rules.py guards."""
    for name in ("ip_forward", f"conf/{interface}/forwarding", f"conf/{interface}/route_localnet"):
        path = _IPV4 / name
        if path.read_text().strip() != "1":
            path.write_text("1")
