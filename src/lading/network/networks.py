"""The networks of one engine, and who is on them.

A container is on its network from `attach`, before its process is made, to `detach`,
after it has ended.  An engine that goes away leaves all of it in place; the next one is
told by `open` which containers live, keeps what is theirs and sweeps the rest.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from lading.errors import Conflict, Invalid, LadingError, NotFound, Unavailable
from lading.network import bridge, conntrack, subnets
from lading.network.holds import Holds
from lading.network.nft import NftFailed
from lading.network.predefined import BRIDGE, predefined
from lading.network.rules import Bridged, Forward
from lading.network.sandboxes import Sandboxes
from lading.network.segment import Segment
from lading.network.table import Table
from lading.network.values import (
    Attachment,
    AttachRequest,
    Endpoint,
    Network,
    NetworkMode,
    Sandbox,
)
from lading.network.wiring import INTERFACE, Wired, Wiring
from lading.settings import Settings
from lading.store.database import Database
from lading.store.records import Records

_LOG = logging.getLogger(__name__)


class NetworkNotFound(NotFound):
    """Raised for a name, ID or prefix that no network has."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"network {ref[:300]} not found")
        self.ref = ref


class AmbiguousNetwork(Invalid):
    """Raised for the beginning of several networks' IDs."""

    def __init__(self, ref: str, matches: int) -> None:
        super().__init__(f"network {ref} is ambiguous ({matches} matches found on ID prefix)")


class NotRunning(Conflict):
    """Raised where the network of a container is to be shared that has none now."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"cannot join network of a non running container: {container_id}")


class Networks:
    """Attach containers to networks; thread safe, but for two calls about one container."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Touches nothing before `open`."""
        instance = settings.instance
        self._interface = f"lading-{instance}"
        self._wanted_subnet = settings.subnet
        self._records: Records[Network] = Records(database, "network", Network)
        self._wiring = Wiring(settings.run_root / "netns", f"v{instance}")
        self._files = Sandboxes(settings.run_root / "sandboxes")
        self._table = Table(f"lading-{instance}")
        self._holds = Holds()
        self._networks: dict[str, Network] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._segment: Segment | None = None

    def open(self, live: Collection[str] = ()) -> None:
        """Make the networks ready, and take up those of the containers that are *live*.

        What belongs to no live container is removed.  SubnetTaken, InvalidSubnet,
        NftUnsupported, NftFailed, OSError.
        """
        kept = self._taken_up(live)
        connected = [wired for each in kept if (wired := _wired(each)) is not None]
        self._wiring.sweep(
            {Path(each.netns) for each in kept if each.netns and _owns_namespace(each)},
            {wired.host_interface for wired in connected},
        )
        self._networks = predefined(self._records, self._interface)
        with subnets.machine_lock():
            network = self._placed(_subnet_of(kept))
            # The rules first: the bridge lets 127/8 through the routing code.
            forwards = {each.container_id: _forwards(each) for each in kept}
            self._table.open([Bridged(network.interface, IPv4Network(network.subnet))], forwards)
            self._segment = Segment(network, self._wiring)
            self._segment.open(connected)

    def restore(self) -> None:
        """Put bridge and packet rules right again, whatever others did to them."""
        self._table.restore()
        self._opened().restore()

    def close(self) -> None:
        """Let go; who is attached stays so.  Idempotent."""
        if self._segment is not None:
            self._segment.close()
        self._table.close()

    def clear(self) -> None:
        """Remove everything from the host; idempotent, and possible without `open`."""
        self.close()
        self._wiring.clear()
        self._files.clear()
        self._table.remove()
        self._table.close()
        bridge.remove(self._interface)
        self._sandboxes.clear()

    def networks(self) -> list[Network]:
        """Every network, by name."""
        return [self._networks[name] for name in sorted(self._networks)]

    def find(self, ref: str) -> Network:
        """By full ID, name or unique prefix, in Docker's order; NetworkNotFound."""
        known = self.networks()
        exact = [n for n in known if n.id == ref] or [n for n in known if n.name == ref]
        found = exact or [n for n in known if ref and n.id.startswith(ref)]
        if not found:
            raise NetworkNotFound(ref)
        if len(found) > 1:
            raise AmbiguousNetwork(ref, len(found))
        return found[0]

    def sandbox(self, container_id: str) -> Sandbox | None:
        """What an attached container has of the network."""
        return self._sandboxes.get(container_id)

    def attach(self, container_id: str, request: AttachRequest) -> Attachment:
        """Give a container its network: all that *request* asks for, or nothing.

        NetworkNotFound, NotRunning, NoAddressLeft, what `Holds.hold` raises, NftFailed, OSError.
        """
        self.detach(container_id)
        sandbox = Sandbox(container_id, request.name, str(request.mode))
        with ExitStack() as undo:
            if request.mode.kind == "container":
                joined = self._attached(request.joins or request.mode.name)
                sandbox = replace(sandbox, netns=joined.netns)
                attachment = Attachment(sandbox)
            else:
                attachment = self._endowed(sandbox, request, undo)
            self._files.put(attachment.sandbox)
            undo.pop_all()
        self._sandboxes[container_id] = attachment.sandbox
        return attachment

    def detach(self, container_id: str) -> None:
        """Take back what `attach` gave; the ports are free on return.  Idempotent."""
        sandbox = self._sandboxes.pop(container_id, None)
        if sandbox is None:
            return
        try:
            self._table.withdraw(container_id)
        except NftFailed:
            _LOG.exception("the ports of container %s are still sent on", container_id[:12])
        self._holds.release(sandbox.ports)
        self._files.remove(container_id)
        wired = _wired(sandbox)
        if wired is not None:
            self._opened().disconnect(wired)
        elif sandbox.netns and _owns_namespace(sandbox):
            self._wiring.remove(Path(sandbox.netns), "")

    def _endowed(self, sandbox: Sandbox, request: AttachRequest, undo: ExitStack) -> Attachment:
        """An attachment to a network of its own, or the host's."""
        network = self._network(request.mode)
        endpoint = Endpoint(secrets.token_hex(32), network.id, network.name)
        sandbox = replace(sandbox, endpoints=(endpoint,))
        if network.driver == "host":
            return Attachment(sandbox)
        if network.driver == "null":
            netns = self._wiring.bare().netns
            undo.callback(self._wiring.remove, netns, "")
            return Attachment(replace(sandbox, netns=str(netns)))
        return self._bridged(sandbox, request, undo)

    def _bridged(self, sandbox: Sandbox, request: AttachRequest, undo: ExitStack) -> Attachment:
        """An attachment to the bridge; the ports first: they are what is most often refused."""
        endpoint, segment = sandbox.endpoints[0], self._opened()
        with _told_of(endpoint, request):
            bindings, sockets = self._holds.hold(request.ports)
        undo.callback(self._holds.release, bindings)
        for held in sockets:
            undo.callback(held.close)
        wired = segment.connect(request.mac)
        undo.callback(segment.disconnect, wired)
        sandbox = replace(
            sandbox,
            netns=str(wired.netns),
            endpoints=(_filled(endpoint, wired, self._networks[endpoint.network]),),
            ports=tuple(bindings),
        )
        with _told_of(endpoint, request):
            self._table.publish(sandbox.container_id, _forwards(sandbox))
        undo.callback(self._table.withdraw, sandbox.container_id)
        conntrack.forget_udp_ports(each.host_port for each in bindings if each.proto == "udp")
        return Attachment(sandbox, tuple(sockets))

    def _network(self, mode: NetworkMode) -> Network:
        return self.find(mode.name or mode.kind)

    def _attached(self, container_id: str) -> Sandbox:
        sandbox = self._sandboxes.get(container_id)
        if sandbox is None:
            raise NotRunning(container_id)
        return sandbox

    def _opened(self) -> Segment:
        if self._segment is None:
            raise Unavailable("the networks are not open")
        return self._segment

    def _taken_up(self, live: Collection[str]) -> list[Sandbox]:
        """The sandboxes of the containers that are *live*; those of others are forgotten."""
        for sandbox in self._files.all():
            if sandbox.container_id in live:
                self._sandboxes[sandbox.container_id] = sandbox
                self._holds.remember(sandbox.ports)
            else:
                self._files.remove(sandbox.container_id)
        return list(self._sandboxes.values())

    def _placed(self, lived_in: IPv4Network | None) -> Network:
        """The default bridge with a subnet: the one *lived_in*, or one that is free here."""
        network = self._networks[BRIDGE]
        if lived_in and self._wanted_subnet not in (None, str(lived_in)):
            _LOG.warning("the bridge keeps %s as long as containers are on it", lived_in)
        subnet = lived_in or subnets.choose(
            self._interface, wanted=self._wanted_subnet, before=network.subnet
        )
        placed = replace(network, subnet=str(subnet), gateway=str(subnets.gateway_of(subnet)))
        if placed != network:
            self._records.put(placed.id, placed)
            self._networks[BRIDGE] = placed
        if bridge.subnet_of(self._interface) not in (None, subnet):
            bridge.remove(self._interface)
        return placed


@contextmanager
def _told_of(endpoint: Endpoint, request: AttachRequest) -> Iterator[None]:
    """Put Docker's words for whose port it is before what is raised."""
    try:
        yield
    except LadingError as error:
        error.args = (
            "driver failed programming external connectivity on endpoint "
            f"{request.name} ({endpoint.id}): {error}",
        )
        raise


def _filled(endpoint: Endpoint, wired: Wired, network: Network) -> Endpoint:
    return replace(
        endpoint,
        interface=INTERFACE,
        host_interface=wired.host_interface,
        address=str(wired.address),
        prefix_length=IPv4Network(network.subnet).prefixlen,
        gateway=network.gateway,
        mac=wired.mac,
    )


def _owns_namespace(sandbox: Sandbox) -> bool:
    return NetworkMode.parse(sandbox.mode).is_private


def _wired(sandbox: Sandbox) -> Wired | None:
    """What of a sandbox is on the bridge, None when nothing is."""
    for endpoint in sandbox.endpoints:
        if endpoint.address and sandbox.netns:
            address = IPv4Address(endpoint.address)
            return Wired(Path(sandbox.netns), endpoint.host_interface, address, endpoint.mac)
    return None


def _forwards(sandbox: Sandbox) -> tuple[Forward, ...]:
    return tuple(
        Forward(each.proto, each.host_ip, each.host_port, sandbox.address, each.container_port)
        for each in sandbox.ports
    )


def _subnet_of(sandboxes: Iterable[Sandbox]) -> IPv4Network | None:
    """The subnet that containers are on, None when none is on any."""
    for endpoint in (each for sandbox in sandboxes for each in sandbox.endpoints):
        if endpoint.address:
            return IPv4Interface(f"{endpoint.address}/{endpoint.prefix_length}").network
    return None
