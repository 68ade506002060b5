"""Plug containers into bridges and out again: interfaces, and the route that leads out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from lading.network import wiring
from lading.network.bridges import Bridges
from lading.network.endpoints import filled, new_endpoint
from lading.network.known import Known
from lading.network.names import program
from lading.network.values import (
    AttachRequest,
    Endpoint,
    EndpointRequest,
    Network,
    Sandbox,
)
from lading.network.wiring import Wired, Wiring

Wanted = list[tuple[EndpointRequest, Network]]


class Plugs:
    """What containers have on bridges."""

    def __init__(self, known: Known, bridges: Bridges, wiring_: Wiring) -> None:
        self._known, self._bridges, self._wiring = known, bridges, wiring_

    def wanted(self, request: AttachRequest) -> Wanted:
        """The networks that a container is to be on; NetworkNotFound, NoNameServer."""
        mode, asked = request.mode, request.endpoints
        if asked is None or mode.kind in ("none", "host"):
            network = self._known.find(mode.name or mode.kind)
            found = [(EndpointRequest(network.name, mac=request.mac), network)]
        else:
            found = [(wish, self._known.named(wish.network)) for wish in asked]
        check_names(network for _, network in found)
        return found

    def plugged(self, sandbox: Sandbox, wanted: Wanted, undo: ExitStack) -> Sandbox:
        """The sandbox with all its interfaces, in a namespace of its own."""
        wish, network = wanted[0]
        if len(wanted) == 1 and network.predefined:
            segment = self._bridges.segment(network)
            wired = segment.connect(wish.mac)
            undo.callback(segment.disconnect, wired)
            endpoint = filled(new_endpoint(wish, network), wired, network, wiring.INTERFACE)
            return replace(sandbox, netns=str(wired.netns), endpoints=(endpoint,))
        netns = self._wiring.bare().netns
        undo.callback(self._wiring.remove, netns, "")
        sandbox = replace(sandbox, netns=str(netns))
        for number, (each, other) in enumerate(wanted):
            endpoint = self.plug(sandbox, other, each, f"eth{number}", undo)
            sandbox = replace(sandbox, endpoints=(*sandbox.endpoints, endpoint))
        lead_out(sandbox)
        return sandbox

    def plug(
        self,
        sandbox: Sandbox,
        network: Network,
        wish: EndpointRequest,
        interface: str,
        undo: ExitStack,
    ) -> Endpoint:
        """One more interface for a namespace that is there; what `Segment.join` raises."""
        segment = self._bridges.segment(network)
        netns = Path(str(sandbox.netns))
        wired = segment.join(netns, interface, address=wish.address, mac=wish.mac)
        undo.callback(segment.disconnect, replace(wired, netns=None))
        return filled(new_endpoint(wish, network), wired, network, interface)

    def unplug(self, network_id: str, wired: Wired, *, wait: bool = False) -> None:
        """Take an interface away again, and the namespace with it where it is named."""
        network = self._known.get(network_id)
        if network is None:
            self._wiring.remove(wired.netns, wired.host_interface)
        else:
            self._bridges.segment(network).disconnect(wired, wait=wait)


def check_names(networks: Iterable[Network]) -> None:
    """NoNameServer, where names are needed that nobody here can answer for."""
    if any(network.has_names for network in networks):
        program()


def lead_out(sandbox: Sandbox) -> None:
    """Set the default route; where nothing leads out there is none."""
    way = sandbox.way_out
    if way is not None and sandbox.netns:
        wiring.lead_out(Path(sandbox.netns), way.interface, IPv4Address(way.gateway))
