"""Whether this kernel has what container networks are made of, tried in a namespace of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lading.cli.hostchecks import GOOD, PROBLEM, Finding
from lading.errors import LadingError, Unsupported
from lading.linux.namespaces import make_netns, remove_netns

_MAC = "02:42:ac:11:00:01"
_RULES = """
add table ip lading-doctor
add map ip lading-doctor ports { type inet_proto . inet_service : ipv4_addr . inet_service ; }
add chain ip lading-doctor nat { type nat hook postrouting priority 100 ; }
add rule ip lading-doctor nat ip saddr 10.0.0.0/8 masquerade
add chain ip lading-doctor pre { type nat hook prerouting priority -100 ; }
add rule ip lading-doctor pre dnat ip to ip protocol . th dport map @ports
"""


def networking() -> Iterator[Finding]:
    """A bridge, a pair of links and a table of rules, each made and gone again."""
    found: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="lading-doctor-") as place:
        namespace = Path(place) / "netns"
        try:
            make_netns(namespace, lambda: found.extend(_tried()))
        except OSError as error:
            found.append(Finding("network namespace", PROBLEM, str(error)))
        finally:
            remove_netns(namespace)
    yield from found


def _tried() -> Iterator[Finding]:
    yield _try("bridge", "a bridge can be made", "modprobe bridge", _bridge)
    yield _try("veth", "pairs of links can be made", "modprobe veth", _veth)
    yield _nftables()


def _try(name: str, good: str, remedy: str, make: Callable[[], None]) -> Finding:
    try:
        make()
    except (LadingError, OSError) as error:
        return Finding(name, PROBLEM, str(error), remedy)
    return Finding(name, GOOD, good)


def _bridge() -> None:
    from lading.network import links
    from lading.network.netlink import Netlink

    with Netlink() as wire:
        links.add_bridge(wire, "doctor0", _MAC)


def _veth() -> None:
    from lading.network import links
    from lading.network.netlink import Netlink

    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Netlink() as wire:
            links.add_bridge(wire, "doctor1", _MAC)
            bridge = next(link for link in links.links(wire) if link.name == "doctor1")
            links.add_veth(wire, "doctor2", bridge.index, "doctor3", here)
    finally:
        os.close(here)


def _nftables() -> Finding:
    from lading.network.nft import Nft

    try:
        nft = Nft()
    except Unsupported as error:
        return Finding("nftables", PROBLEM, str(error), "apt-get install nftables")
    try:
        return _try(
            "nftables",
            "rules can be set, address translation too",
            "modprobe nf_tables && modprobe nft_chain_nat",
            lambda: nft.run(_RULES),
        )
    finally:
        nft.close()
