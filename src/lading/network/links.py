"""Links, addresses and routes: what the network says to rtnetlink.

Every function takes an open `Netlink`, and acts in that socket's namespace.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from lading.network import netlink
from lading.network.netlink import Message, Netlink, attribute, nested, number, text

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _GETROUTE = 24, 26
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_UP = 1  # IFF_UP
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_LINKINFO, _IFLA_NET_NS_FD = 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_PEER, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 4, 33
_VETH_INFO_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_TABLE_MAIN = 254
_PROTO_BOOT = 3
_RTN_UNICAST = 1
_CREATE_NEW = netlink.ACK | netlink.CREATE | netlink.EXCLUSIVE


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel lists it; *master* is a link's index or 0."""

    index: int
    name: str
    master: int
    up: bool


def links(wire: Netlink) -> list[Link]:
    """Every link of the namespace."""
    return [_link(body) for body in wire.dump(_GETLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0))]


def add_bridge(wire: Netlink, name: str, mac: str) -> None:
    """A bridge with a fixed address: it would else take on that of some port, and change."""
    wire.run(
        Message(
            _NEWLINK,
            _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            + text(_IFLA_IFNAME, name)
            + attribute(_IFLA_ADDRESS, _mac(mac))
            + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge")),
            _CREATE_NEW,
        )
    )


def add_veth(wire: Netlink, name: str, master: int, peer: str, namespace: int) -> None:
    """A pair, down yet: *name* here, a port of *master*; *peer* in a descriptor's namespace."""
    far_end = (
        _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, peer)
        + number(_IFLA_NET_NS_FD, namespace)
    )
    wire.run(
        Message(
            _NEWLINK,
            _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            + text(_IFLA_IFNAME, name)
            + number(_IFLA_MASTER, master)
            + nested(
                _IFLA_LINKINFO,
                text(_IFLA_INFO_KIND, "veth"),
                nested(_IFLA_INFO_PEER, attribute(_VETH_INFO_PEER, far_end)),
            ),
            _CREATE_NEW,
        )
    )


def remove(wire: Netlink, name: str) -> None:
    """Remove a link; one that is not there is as good as removed."""
    try:
        wire.run(Message(_DELLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(3, name)))
    except netlink.NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise


def set_up(wire: Netlink, index: int) -> None:
    wire.run(_up(index))


def open_port(wire: Netlink, index: int, *, isolated: bool = False) -> None:
    """Make a bridge's port up, and let what comes in there go out there too (hairpin).

    One that is *isolated* speaks to the bridge alone, and to no other such port.

    A container that asks for its own published port needs that where bridged packets pass
    the packet filter (br_netfilter, which other engines load): they never leave the bridge.
    """
    mode = nested(
        _IFLA_INFO_SLAVE_DATA,
        attribute(_IFLA_BRPORT_MODE, b"\1"),
        attribute(_IFLA_BRPORT_ISOLATED, bytes([isolated])),
    )
    port = nested(_IFLA_LINKINFO, text(_IFLA_INFO_SLAVE_KIND, "bridge"), mode)
    wire.run(Message(_NEWLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, index, _UP, _UP) + port))


def set_master(wire: Netlink, index: int, master: int) -> None:
    """Make a link a port of the bridge *master*, and up."""
    wire.run(
        Message(
            _NEWLINK,
            _IFINFO.pack(socket.AF_UNSPEC, 0, index, _UP, _UP) + number(_IFLA_MASTER, master),
        )
    )


def add_address(wire: Netlink, index: int, address: IPv4Interface) -> None:
    """Give a link an address; one that it has already is well."""
    try:
        wire.run(_address(index, address))
    except netlink.NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise


def set_mtu(wire: Netlink, index: int, mtu: int) -> None:
    """The largest packet of a link; NetlinkError where it cannot be that."""
    wire.run(
        Message(_NEWLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + number(_IFLA_MTU, mtu))
    )


def configure(
    wire: Netlink, index: int, address: IPv4Interface, mac: str, gateway: IPv4Address | None
) -> None:
    """All that a container's interface needs, in one trip: both addresses, up, default route."""
    route = () if gateway is None else (_default_route(index, gateway, _CREATE_NEW),)
    wire.run(
        Message(
            _NEWLINK,
            _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attribute(_IFLA_ADDRESS, _mac(mac)),
        ),
        _address(index, address),
        _up(index),
        *route,
    )


def lead_out(wire: Netlink, index: int, gateway: IPv4Address) -> None:
    """Make the default route this one, whatever it was."""
    flags = netlink.ACK | netlink.CREATE | netlink.REPLACE
    wire.run(_default_route(index, gateway, flags))


def addresses(wire: Netlink) -> Iterator[tuple[int, IPv4Interface]]:
    """Every IPv4 address of the namespace, with its link's index."""
    for body in wire.dump(_GETADDR, _IFADDR.pack(socket.AF_INET, 0, 0, 0, 0)):
        _, prefix, _, _, index = _IFADDR.unpack_from(body)
        found = netlink.attributes(body[_IFADDR.size :])
        raw = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if raw is not None:
            yield index, IPv4Interface((IPv4Address(raw), prefix))


def routes(wire: Netlink) -> Iterator[tuple[int, IPv4Network]]:
    """Every IPv4 destination but the default, with the index of the link it leaves by."""
    request = _RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    for body in wire.dump(_GETROUTE, request):
        prefix = body[1]
        found = netlink.attributes(body[_RTMSG.size :])
        if prefix and _RTA_DST in found:
            index = struct.unpack("=I", found.get(_RTA_OIF, b"\0\0\0\0"))[0]
            network = ipaddress.ip_network((found[_RTA_DST], prefix), strict=False)
            yield index, IPv4Network(network)


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    found = netlink.attributes(body[_IFINFO.size :])
    master = struct.unpack("=I", found.get(_IFLA_MASTER, b"\0\0\0\0"))[0]
    name = found[_IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape")
    return Link(index, name, master, bool(flags & _UP))


def _up(index: int) -> Message:
    return Message(_NEWLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, index, _UP, _UP))


def _default_route(index: int, gateway: IPv4Address, flags: int) -> Message:
    return Message(
        _NEWROUTE,
        _RTMSG.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _PROTO_BOOT, 0, _RTN_UNICAST, 0)
        + attribute(_RTA_GATEWAY, gateway.packed)
        + number(_RTA_OIF, index),
        flags,
    )


def _address(index: int, address: IPv4Interface) -> Message:
    packed = address.ip.packed
    return Message(
        _NEWADDR,
        _IFADDR.pack(socket.AF_INET, address.network.prefixlen, 0, 0, index)
        + attribute(_IFA_LOCAL, packed)
        + attribute(_IFA_ADDRESS, packed)
        + attribute(_IFA_BROADCAST, address.network.broadcast_address.packed),
        _CREATE_NEW,
    )


def _mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
