"""The networks of one engine, and who is on them.

A container is on its networks from `attach`, before its process is made, to `detach`,
after it has ended.  An engine that goes away leaves all of it in place; the next one is
told by `open` which containers live, keeps what is theirs and sweeps the rest.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lading.errors import Conflict, LadingError
from lading.events import Bus
from lading.image.times import rfc3339
from lading.network import conntrack, nametext, wishes
from lading.network.bridges import Bridges, sandbox_links
from lading.network.endpoints import (
    AlreadyConnected,
    NotConnected,
    bound_ports,
    forwards,
    free_interface,
    new_endpoint,
    told_of,
)
from lading.network.holds import Holds
from lading.network.known import Known
from lading.network.names import Names
from lading.network.nft import NftFailed
from lading.network.plugs import Plugs, Wanted, check_names, lead_out
from lading.network.sandboxes import Sandboxes
from lading.network.table import Table
from lading.network.values import (
    Attachment,
    AttachRequest,
    EndpointRequest,
    Network,
    NetworkMode,
    Sandbox,
)
from lading.network.watch import Watch
from lading.network.wiring import Wired, Wiring
from lading.network.wishes import NetworkRequest, PredefinedNetwork
from lading.settings import Settings
from lading.store.database import Database
from lading.store.records import Records

_LOG = logging.getLogger(__name__)


class NotRunning(Conflict):
    """Raised where the network of a container is to be shared that has none now."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"cannot join network of a non running container: {container_id}")


class Networks:
    """Attach containers to networks; thread safe, but for two calls about one container."""

    def __init__(self, settings: Settings, database: Database, bus: Bus | None = None) -> None:
        """Touches nothing before `open`."""
        instance, run = settings.instance, settings.run_root.absolute()
        self._default = f"lading-{instance}"
        self._wanted_subnet = settings.subnet
        self._bus = bus or Bus()
        self._known = Known(Records(database, "network", Network))
        self._wiring = Wiring(settings.run_root / "netns", f"v{instance}")
        self._files = Sandboxes(settings.run_root / "sandboxes")
        self._table = Table(f"lading-{instance}")
        self._watch = Watch(self._table)
        self._bridges = Bridges(instance, self._known, self._wiring, self._table)
        self._plugs = Plugs(self._known, self._bridges, self._wiring)
        self._names = Names(run / "names", self._told)
        self._holds = Holds()
        self._sandboxes: dict[str, Sandbox] = {}
        self._changing = threading.Lock()  # the set of networks

    def open(self, live: Collection[str] = ()) -> None:
        """Make the networks ready, and take up those of the containers that are *live*.

        What belongs to no live container is removed.  SubnetTaken, InvalidSubnet,
        NftUnsupported, NftFailed, OSError.
        """
        kept = self._taken_up(live)
        self._wiring.sweep(
            {Path(each.netns) for each in kept if each.netns and _owns_namespace(each)},
            {wired.host_interface for each in kept for _, wired in sandbox_links(each)},
        )
        self._known.load(self._default)
        published = {each.container_id: forwards(each) for each in kept}
        self._bridges.open(kept, published, self._wanted_subnet)
        self._watch.open()
        self._tell_names()

    def restore(self) -> None:
        """Put bridges and packet rules right again, whatever others did to them."""
        self._table.restore()
        self._bridges.restore()

    def close(self) -> None:
        """Let go; who is attached stays so.  Idempotent."""
        self._watch.close()
        self._bridges.close()
        self._table.close()

    def clear(self) -> None:
        """Remove everything from the host; idempotent, and possible without `open`."""
        self.close()
        self._names.clear()
        self._wiring.clear()
        self._files.clear()
        self._table.remove()
        self._table.close()
        self._bridges.clear()
        self._sandboxes.clear()

    # The networks themselves.

    def networks(self) -> list[Network]:
        """Every network, by name."""
        return self._known.all()

    def find(self, ref: str) -> Network:
        """By full ID, name or unique prefix, in Docker's order; NetworkNotFound."""
        return self._known.find(ref)

    def create(self, asked: NetworkRequest) -> Network:
        """A network that is durable and ready.

        What `wishes.network` raises, NetworkExists, PoolOverlaps, SubnetTaken, InterfaceTaken.
        """
        wanted = wishes.network(asked, secrets.token_hex(32), rfc3339(time.time_ns()))
        with self._changing:
            self._known.check_free(wanted.name)
            made = self._bridges.add(wanted)
        self._announce([made], "create")
        return made

    def remove(self, ref: str) -> Network:
        """Remove a network that nobody is on; NetworkNotFound, PredefinedNetwork, NetworkInUse."""
        with self._changing:
            network = self._known.find(ref)
            if network.predefined:
                raise PredefinedNetwork(
                    f"{network.name} is a pre-defined network and cannot be removed"
                )
            self._bridges.remove(network)
        self._announce([network], "destroy")
        return network

    # Who is on them.

    def sandbox(self, container_id: str) -> Sandbox | None:
        """What an attached container has of the network."""
        return self._sandboxes.get(container_id)

    def attach(self, container_id: str, request: AttachRequest) -> Attachment:
        """Give a container its networks: all that *request* asks for, or nothing.

        NetworkNotFound, NotRunning, NoAddressLeft, NoNameServer, what `Holds.hold` and
        `Segment.join` raise, NftFailed, OSError.
        """
        self.detach(container_id)
        sandbox = Sandbox(
            *(container_id, request.name, str(request.mode)),
            hostname=request.hostname,
            dns=request.dns,
        )
        with ExitStack() as undo:
            if request.mode.kind == "container":
                joined = self._attached(request.joins or request.mode.name)
                sandbox = replace(sandbox, netns=joined.netns)
                attachment = Attachment(sandbox)
            else:
                attachment = self._endowed(sandbox, request, undo)
            self._files.put(attachment.sandbox)
            undo.callback(self._files.remove, container_id)
            self._sandboxes[container_id] = attachment.sandbox
            undo.callback(self._sandboxes.pop, container_id, None)
            if _has_names(attachment.sandbox):
                self._names.tell()
            undo.pop_all()
        self._announce(self._of(attachment.sandbox), "connect", container_id)
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
        plugged = sandbox_links(sandbox)
        for network_id, wired in plugged:
            self._plugs.unplug(network_id, wired)
        if not plugged and sandbox.netns and _owns_namespace(sandbox):
            self._wiring.remove(Path(sandbox.netns), "")
        if _has_names(sandbox):
            self._tell_names()
        self._announce(self._of(sandbox), "disconnect", container_id)

    def connect(self, container_id: str, wish: EndpointRequest) -> Sandbox:
        """Put a running container on one more network, at once.

        NotRunning, AlreadyConnected, what `attach` raises; nothing has changed then.
        """
        sandbox = self._attached(container_id)
        network = self._known.named(wish.network)
        if sandbox.endpoint(network.id) is not None:
            raise AlreadyConnected(sandbox.name, network)
        check_names([network])
        with ExitStack() as undo:
            interface = free_interface(sandbox)
            endpoint = self._plugs.plug(sandbox, network, wish, interface, undo)
            changed = replace(sandbox, endpoints=(*sandbox.endpoints, endpoint))
            undo.callback(self._settle, changed, sandbox)
            self._settle(sandbox, changed)
            self._names.tell()
            undo.pop_all()
        self._announce([network], "connect", container_id)
        return changed

    def disconnect(self, container_id: str, network: Network) -> Sandbox:
        """Take a running container off a network, at once; NotRunning, NotConnected."""
        sandbox = self._attached(container_id)
        endpoint = sandbox.endpoint(network.id)
        if endpoint is None:
            raise NotConnected(container_id, network)
        rest = tuple(each for each in sandbox.endpoints if each is not endpoint)
        changed = replace(sandbox, endpoints=rest)
        # Before the others' rules and routes: its own route is to be gone when another is set.
        self._plugs.unplug(network.id, Wired.of(endpoint, None), wait=True)
        self._settle(sandbox, changed)
        self._tell_names()
        self._announce([network], "disconnect", container_id)
        return changed

    def rename(self, container_id: str, name: str) -> None:
        """Call a container by another name, where it is on networks that have names."""
        sandbox = self._sandboxes.get(container_id)
        if sandbox is not None:
            self._sandboxes[container_id] = changed = replace(sandbox, name=name)
            self._files.put(changed)
            self._tell_names()

    def _endowed(self, sandbox: Sandbox, request: AttachRequest, undo: ExitStack) -> Attachment:
        """An attachment to networks of its own, or the host's."""
        wanted = self._plugs.wanted(request)
        kinds = {network.driver for _, network in wanted}
        if wanted and kinds == {"bridge"}:
            return self._bridged(sandbox, request, wanted, undo)
        # On host, on none, or on nothing at all: there is nothing to be plugged in.
        sandbox = replace(sandbox, endpoints=tuple(new_endpoint(*each) for each in wanted))
        if "host" in kinds:
            return Attachment(sandbox)
        netns = self._wiring.bare().netns
        undo.callback(self._wiring.remove, netns, "")
        return Attachment(replace(sandbox, netns=str(netns)))

    def _bridged(
        self, sandbox: Sandbox, request: AttachRequest, wanted: Wanted, undo: ExitStack
    ) -> Attachment:
        """An attachment to bridges; the ports first: they are what is most often refused."""
        first = new_endpoint(*wanted[0])
        with told_of(first, request):
            bindings, sockets = self._holds.hold(bound_ports(request.ports, wanted))
        undo.callback(self._holds.release, bindings)
        for held in sockets:
            undo.callback(held.close)
        sandbox = self._plugs.plugged(replace(sandbox, ports=tuple(bindings)), wanted, undo)
        with told_of(first, request):
            self._table.publish(sandbox.container_id, forwards(sandbox))
        undo.callback(self._table.withdraw, sandbox.container_id)
        conntrack.forget_udp_ports(each.host_port for each in bindings if each.proto == "udp")
        return Attachment(sandbox, tuple(sockets))

    def _settle(self, before: Sandbox, after: Sandbox) -> None:
        """Have *after* instead of *before*, on what is plugged in already."""
        lead_out(after)
        if forwards(before) != forwards(after):
            self._table.withdraw(after.container_id)
            self._table.publish(after.container_id, forwards(after))
        self._files.put(after)
        self._sandboxes[after.container_id] = after

    def _attached(self, container_id: str) -> Sandbox:
        sandbox = self._sandboxes.get(container_id)
        if sandbox is None:
            raise NotRunning(container_id)
        return sandbox

    def _taken_up(self, live: Collection[str]) -> list[Sandbox]:
        """The sandboxes of the containers that are *live*; those of others are forgotten."""
        for sandbox in self._files.all():
            if sandbox.container_id in live:
                self._sandboxes[sandbox.container_id] = sandbox
                self._holds.remember(sandbox.ports)
            else:
                self._files.remove(sandbox.container_id)
        return list(self._sandboxes.values())

    def _told(self) -> nametext.Told:
        return nametext.told(self._known.all(), list(self._sandboxes.values()))

    def _tell_names(self) -> None:
        """Have the names right; where that fails, containers are still on their networks."""
        try:
            self._names.tell()
        except (LadingError, OSError):
            _LOG.exception("names on user networks are not what they should be")

    def _announce(self, networks: Iterable[Network], action: str, container_id: str = "") -> None:
        member = {"container": container_id} if container_id else {}
        for network in networks:
            told = {**member, "name": network.name, "type": network.driver}
            self._bus.publish("network", action, network.id, told)

    def _of(self, sandbox: Sandbox) -> list[Network]:
        found = [self._known.get(each.network_id) for each in sandbox.endpoints]
        return [network for network in found if network is not None]


def _owns_namespace(sandbox: Sandbox) -> bool:
    return NetworkMode.parse(sandbox.mode).is_private


def _has_names(sandbox: Sandbox) -> bool:
    return any(endpoint.resolver for endpoint in sandbox.endpoints)
