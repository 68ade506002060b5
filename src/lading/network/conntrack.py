"""Forget connections that the packet filter would go on sending to the wrong place.

A UDP "connection" that began before its port was published stays with the host as long
as its client goes on, and one to a container that ended would reach whoever has its
address next.  The kernel selects (ctnetlink's filters), so a large table costs little.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from lading.network import netlink
from lading.network.netlink import Message, Netlink, attribute, nested

_LOG = logging.getLogger(__name__)
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_DELETE = 1 << 8 | 2
_FAMILY = struct.pack("=BBH", socket.AF_INET, 0, 0)  # struct nfgenmsg
_ORIGINAL, _REPLY, _ID, _FILTER = 1, 2, 12, 25  # enum ctattr_type
_IP, _PROTO = 1, 2  # enum ctattr_tuple
_SOURCE, _DESTINATION = 1, 2  # enum ctattr_ip
_NUMBER, _DESTINATION_PORT = 1, 3  # enum ctattr_l4proto
_MATCH = {_ORIGINAL: 1, _REPLY: 2}  # CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS
_MATCH_SOURCE, _MATCH_NUMBER, _MATCH_DESTINATION_PORT = 1 << 0, 1 << 3, 1 << 5


def forget_address(address: IPv4Address) -> None:
    """Forget every connection that *address* began or that was sent on to it."""
    source = nested(_IP, attribute(_SOURCE, address.packed))
    for side in (_ORIGINAL, _REPLY):
        _forget(nested(side, source) + _filter(side, _MATCH_SOURCE))


def forget_udp_ports(ports: Iterable[int]) -> None:
    """Forget what is on its way to these UDP ports."""
    for port in ports:
        protocol = nested(
            _PROTO,
            attribute(_NUMBER, bytes([socket.IPPROTO_UDP])),
            attribute(_DESTINATION_PORT, struct.pack("!H", port)),
        )
        _forget(
            nested(_ORIGINAL, protocol)
            + _filter(_ORIGINAL, _MATCH_NUMBER | _MATCH_DESTINATION_PORT)
        )


def _filter(side: int, flags: int) -> bytes:
    return nested(_FILTER, netlink.number(_MATCH[side], flags))


def _forget(selection: bytes) -> None:
    """A kernel that cannot select, or has no connection tracking, leaves them to time out."""
    try:
        with Netlink(netlink.NETFILTER) as wire:
            for body in wire.dump(_GET, _FAMILY + selection):
                _delete(wire, netlink.attributes(body[len(_FAMILY) :]))
    except OSError as error:
        _LOG.debug("connections are left to time out: %s", error)


def _delete(wire: Netlink, found: dict[int, bytes]) -> None:
    named = attribute(_ORIGINAL | 0x8000, found[_ORIGINAL]) + attribute(_ID, found[_ID])
    try:
        wire.run(Message(_DELETE, _FAMILY + named))
    except netlink.NetlinkError as error:
        if error.errno != errno.ENOENT:  # it ended by itself
            raise
