"""Whether this kernel has what container networks are made of, tried in a namespace of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lading.cli.hostchecks import GOOD, PROBLEM, WARNING, Finding
from lading.errors import LadingError, Unsupported
from lading.linux.namespaces import make_netns, remove_netns
from lading.settings import Settings

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


def names() -> Finding:
    """Whether containers on user networks can find each other by name."""
    from lading.network.names import NoNameServer, program

    try:
        return Finding("names", GOOD, f"{program()} answers on user networks")
    except NoNameServer as error:
        return Finding("names", WARNING, str(error), "apt-get install aardvark-dns")


def firewalls(root: Path) -> Finding:
    """Whether another's rules drop what containers send: what one table drops no other saves."""
    from lading.network.nft import Nft

    nft = Nft()
    try:
        chains = [each["chain"] for each in nft.listed("chains") if "chain" in each]
    finally:
        nft.close()
    return verdict(chains, Settings(root=root).instance)


def verdict(chains: Iterable[Mapping[str, Any]], instance: str) -> Finding:
    """What nftables' *chains* (as its JSON names them) mean to the engine of that instance."""
    every = list(chains)
    dropping = [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in every
        if chain.get("hook") == "forward" and chain.get("policy") == "drop"
    ]
    if not dropping:
        return Finding("firewall", GOOD, "nobody drops what passes through this host")
    ours = "DOCKER-USER" if any(chain["name"] == "DOCKER-USER" for chain in every) else "FORWARD"
    bridges = f"'lading-{instance}+' 'b{instance}+'"
    accept = f"iptables -I {ours} $way $bridge -j ACCEPT"
    return Finding(
        "firewall",
        WARNING,
        f"{', '.join(dropping)} drops what it does not know, and so what containers send",
        f"for way in -i -o; do for bridge in {bridges}; do {accept}; done; done",
    )
