"""Network namespaces for containers: made with all that belongs in them, and removed.

The names of links and namespaces carry the instance, so that what an engine left
behind is known for its own, whatever happened to the records.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from lading.linux.namespaces import inside, make_netns, remove_netns
from lading.network import links
from lading.network.addresses import mac_of
from lading.network.netlink import Netlink
from lading.network.values import Endpoint

INTERFACE = "eth0"
_SYSCTL = Path("/proc/sys/net")
_LOOPBACK = 1  # the index of lo, in every namespace
# Docker's defaults for a private namespace: root's ports and ping need no capability there.
_DEFAULTS = {
    "ipv4/ip_unprivileged_port_start": "0",
    "ipv4/ping_group_range": "0 2147483647",
}


@dataclass(frozen=True, slots=True)
class Wired:
    """A container's interface on a bridge, and its namespace, where that is to go with it.

    *host_interface* is ``""`` where only lo is in it.
    """

    netns: Path | None
    host_interface: str = ""
    address: IPv4Address | None = None
    mac: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, netns: str | None) -> Wired:
        """What *endpoint* says is there."""
        address = IPv4Address(endpoint.address)
        return cls(Path(netns) if netns else None, endpoint.host_interface, address, endpoint.mac)


@dataclass(frozen=True, slots=True)
class Place:
    """Where on a bridge a container shall be."""

    bridge: str
    subnet: IPv4Network
    gateway: IPv4Address | None  # None: no way out by here, or none yet
    address: IPv4Address
    mac: str | None = None  # None: the one that goes with the address
    interface: str = INTERFACE
    mtu: int = 0  # 0: the kernel's own choice
    isolated: bool = False


class Wiring:
    """The namespaces and links of one instance."""

    def __init__(self, directory: Path, prefix: str) -> None:
        """Keep namespaces in *directory*; *prefix* begins the name of every link."""
        self._directory = directory
        self._prefix = prefix

    def bare(self) -> Wired:
        """A namespace with lo alone."""
        path = self._new_path()
        make_netns(path, _prepare)
        return Wired(path)

    def wired(self, place: Place) -> Wired:
        """A namespace with an interface on a bridge, its address and its way out; OSError."""
        path = self._new_path()
        with ExitStack() as undo:
            make_netns(path, _prepare)
            undo.callback(remove_netns, path)
            wired = self.joined(path, place)
            undo.pop_all()
        return wired

    def joined(self, netns: Path, place: Place) -> Wired:
        """One more interface for a namespace that is there; OSError, and nothing is left."""
        mac = place.mac or mac_of(place.address)
        host_end = f"{self._prefix}{secrets.token_hex(3)}"
        with ExitStack() as undo:
            _connect(netns, host_end, place)
            undo.callback(self.remove_link, host_end)
            inside(netns, lambda: _configure(place, mac))
            undo.pop_all()
        return Wired(netns, host_end, place.address, mac)

    def remove(self, netns: Path | None, host_interface: str) -> None:
        """Remove a namespace and a link; idempotent."""
        if host_interface:
            self.remove_link(host_interface)
        if netns is not None:
            remove_netns(netns)

    def remove_link(self, name: str) -> None:
        with Netlink() as wire:
            links.remove(wire, name)

    def sweep(self, netns: Collection[Path], host_interfaces: Collection[str]) -> None:
        """Remove every namespace and link of this instance that is not among these."""
        with Netlink() as wire:
            for link in links.links(wire):
                if link.name.startswith(self._prefix) and link.name not in host_interfaces:
                    links.remove(wire, link.name)
        for path in self._directory.glob("*"):
            if path not in netns:
                remove_netns(path)

    def clear(self) -> None:
        """Remove all of it, and the directory."""
        self.sweep((), ())
        if self._directory.is_dir():
            self._directory.rmdir()

    def _new_path(self) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._directory / secrets.token_hex(6)


def _prepare() -> None:
    """What every namespace gets; runs inside it."""
    with Netlink() as wire:
        links.set_up(wire, _LOOPBACK)
    for name, value in _DEFAULTS.items():
        _write(_SYSCTL / name, value)


def lead_out(netns: Path, interface: str, gateway: IPv4Address) -> None:
    """Make the namespace's default route go by one of its interfaces; OSError."""

    def lead() -> None:
        with Netlink() as wire:
            links.lead_out(wire, socket.if_nametoindex(interface), gateway)

    inside(netns, lead)


def _connect(netns: Path, host_end: str, place: Place) -> None:
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Netlink() as wire:
            bridge = socket.if_nametoindex(place.bridge)
            links.add_veth(wire, host_end, bridge, place.interface, descriptor)
            _without_ipv6(host_end)
            index = socket.if_nametoindex(host_end)
            if place.mtu:
                links.set_mtu(wire, index, place.mtu)
            links.open_port(wire, index, isolated=place.isolated)
    finally:
        os.close(descriptor)


def _configure(place: Place, mac: str) -> None:
    """What the container's end gets; runs inside its namespace."""
    _without_ipv6(place.interface)
    # Neighbours may remember another's Ethernet address for this one's: tell them.
    _write(_SYSCTL / "ipv4/conf" / place.interface / "arp_notify", "1")
    address = IPv4Interface((place.address, place.subnet.prefixlen))
    with Netlink() as wire:
        index = socket.if_nametoindex(place.interface)
        if place.mtu:
            links.set_mtu(wire, index, place.mtu)
        links.configure(wire, index, address, mac, place.gateway)


def _without_ipv6(interface: str) -> None:
    switch = _SYSCTL / "ipv6/conf" / interface / "disable_ipv6"
    if switch.exists():
        _write(switch, "1")


def _write(path: Path, value: str) -> None:
    path.write_text(value)
