"""Every bridge network at work: its segment, its place on this host, its part of the rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from lading.errors import Conflict, Unavailable
from lading.network import bridge, hostdns, links, subnets
from lading.network.known import Known
from lading.network.netlink import Netlink
from lading.network.rules import Bridged, Forward
from lading.network.segment import Segment
from lading.network.table import Table
from lading.network.values import BRIDGE_NAME, Network, Sandbox
from lading.network.wiring import Wired, Wiring

_LOG = logging.getLogger(__name__)


class InterfaceTaken(Conflict):
    """Raised where a bridge is to have the name of a link that is somebody's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"an interface named {name} exists on this host already")


class NotUsable(Unavailable):
    """Raised where a network cannot be used on this host as it is now."""

    def __init__(self, network: Network) -> None:
        super().__init__(
            f"network {network.name} cannot be used: its subnet {network.subnet} is not free here"
        )


class Bridges:
    """The segments by network; changes are made by one thread at a time."""

    def __init__(self, instance: str, known: Known, wiring: Wiring, table: Table) -> None:
        self._default = f"lading-{instance}"
        self._prefix = f"b{instance}"  # and six letters: names of links have 15 at most
        self._known, self._wiring, self._table = known, wiring, table
        self._segments: dict[str, Segment] = {}

    def open(
        self,
        sandboxes: Sequence[Sandbox],
        forwards: Mapping[str, Sequence[Forward]],
        wanted: str | None,
    ) -> None:
        """Take every network up, with who is on it; *wanted* is the default bridge's subnet."""
        connected = _connected(sandboxes)
        with subnets.machine_lock():
            self._place_default(_subnet_of(sandboxes, self._known.default()), wanted)
            self._sweep()
            found = [
                n if n.predefined else self._found(n, lived_in=n.id in connected)
                for n in self._bridged()
            ]
            usable = [network for network in found if network is not None]
            # The rules first: a bridge lets 127/8 through the routing code.
            self._table.open([_rules(network) for network in usable], forwards)
            for network in usable:
                segment = self._segments[network.id] = Segment(network, self._wiring)
                segment.open(connected.get(network.id, ()))

    def segment(self, network: Network) -> Segment:
        """The one at work for a network; NotUsable."""
        found = self._segments.get(network.id)
        if found is None:
            raise NotUsable(network)
        return found

    def add(self, network: Network) -> Network:
        """Give a new network its place, remember it and make its bridge.

        SubnetTaken, InterfaceTaken, NftFailed, OSError; nothing is left then.
        """
        with subnets.machine_lock():
            placed = self._placed(network)
            if bridge.index_of(placed.interface) is not None:
                raise InterfaceTaken(placed.interface)
            self._known.keep(placed)
            try:
                self._table.set_bridges([*self._ruled(), _rules(placed)])
                segment = Segment(placed, self._wiring)
                segment.open(())
            except BaseException:
                bridge.remove(placed.interface)
                self._known.forget(placed)
                self._table.set_bridges(self._ruled())
                raise
            self._segments[placed.id] = segment
        return placed

    def remove(self, network: Network) -> None:
        """Take a network away, link and record; NetworkInUse."""
        segment = self._segments.get(network.id)
        if segment is not None:
            segment.retire()
            segment.close()
        # The record last: what it names can be found and removed as long as it is there.
        bridge.remove(network.interface)
        self._known.forget(network)
        self._segments.pop(network.id, None)
        self._table.set_bridges(self._ruled())

    def restore(self) -> None:
        """Put every bridge right again, whatever others did to it."""
        for segment in list(self._segments.values()):
            segment.restore()

    def close(self) -> None:
        for segment in list(self._segments.values()):
            segment.close()

    def clear(self) -> None:
        """Remove every bridge of this instance, known or left behind.  Idempotent."""
        for network in self._known.recorded():
            if network.driver == "bridge" and not network.predefined:
                bridge.remove(network.interface)
        bridge.remove(self._default)
        self._sweep(keep=())
        self._segments.clear()

    def _bridged(self) -> list[Network]:
        return [network for network in self._known.all() if network.driver == "bridge"]

    def _ruled(self) -> list[Bridged]:
        return [_rules(n) for n in self._bridged() if n.id in self._segments]

    def _place_default(self, lived_in: IPv4Network | None, wanted: str | None) -> None:
        """Give the default bridge the subnet *lived_in*, or one that is free here."""
        network = self._known.default()
        if lived_in and wanted not in (None, str(lived_in)):
            _LOG.warning("the bridge keeps %s as long as containers are on it", lived_in)
        others = [IPv4Network(n.subnet) for n in self._bridged() if n.id != network.id]
        subnet = lived_in or subnets.choose(
            self._default, wanted=wanted, before=network.subnet, others=others
        )
        placed = replace(network, subnet=str(subnet), gateway=str(subnets.gateway_of(subnet)))
        if placed != network:
            self._known.keep(placed)
        if bridge.subnet_of(self._default) not in (None, subnet):
            bridge.remove(self._default)

    def _placed(self, network: Network) -> Network:
        """*network* with a subnet that is free, and a name for its bridge."""
        others = [IPv4Network(each.subnet) for each in self._bridged()]
        if network.subnet:
            subnets.check_apart(IPv4Network(network.subnet), others)
        subnet = subnets.choose("", wanted=network.subnet or None, before="", others=others)
        interface = network.interface or f"{self._prefix}{network.id[:6]}"
        return replace(
            network,
            subnet=str(subnet),
            gateway=network.gateway or str(subnets.gateway_of(subnet)),
            interface=interface,
        )

    def _found(self, network: Network, *, lived_in: bool) -> Network | None:
        """A network that was made before, with what it had; None where that is somebody's now."""
        subnet = IPv4Network(network.subnet)
        if bridge.subnet_of(network.interface) == subnet:
            return network
        if BRIDGE_NAME not in network.options:
            bridge.remove(network.interface)
        with Netlink() as wire:
            used = subnets.taken(wire, network.interface, hostdns.server_addresses())
        if bridge.index_of(network.interface) is None:
            if not any(map(subnet.overlaps, used)):
                return network
            if not network.configured and not lived_in:
                return self._moved(network)
        _LOG.error("%s", NotUsable(network))
        return None

    def _moved(self, network: Network) -> Network:
        """The same with other addresses: nobody chose those it had, and nobody has one of them."""
        moved = self._placed(replace(network, subnet="", gateway=""))
        _LOG.warning("network %s moves from %s to %s", network.name, network.subnet, moved.subnet)
        self._known.keep(moved)
        return moved

    def _sweep(self, keep: Iterable[str] | None = None) -> None:
        """Remove bridges of this instance that no record names."""
        wanted = {network.interface for network in self._bridged()} if keep is None else set(keep)
        with Netlink() as wire:
            for link in links.links(wire):
                if link.name.startswith(self._prefix) and link.name not in wanted:
                    links.remove(wire, link.name)


def _rules(network: Network) -> Bridged:
    return Bridged(
        network.interface,
        IPv4Network(network.subnet),
        talks=network.talks,
        masquerades=network.masquerades,
        internal=network.internal,
        resolver=network.gateway if network.has_names else "",
    )


def _connected(sandboxes: Iterable[Sandbox]) -> dict[str, list[Wired]]:
    """Who is on each network, by its ID."""
    found: dict[str, list[Wired]] = {}
    for sandbox in sandboxes:
        for network_id, wired in sandbox_links(sandbox):
            found.setdefault(network_id, []).append(wired)
    return found


def sandbox_links(sandbox: Sandbox) -> list[tuple[str, Wired]]:
    """What of a sandbox is on bridges, by network; the namespace goes with the first."""
    plugged = [each for each in sandbox.endpoints if each.address and sandbox.netns]
    return [
        (endpoint.network_id, Wired.of(endpoint, sandbox.netns if number == 0 else None))
        for number, endpoint in enumerate(plugged)
    ]


def _subnet_of(sandboxes: Iterable[Sandbox], network: Network) -> IPv4Network | None:
    """The subnet that containers of a network are on, None when none is on it."""
    for sandbox in sandboxes:
        endpoint = sandbox.endpoint(network.id)
        if endpoint is not None and endpoint.address:
            return IPv4Interface(f"{endpoint.address}/{endpoint.prefix_length}").network
    return None
