"""Put containers on networks and take them off again, running or not."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec

from lading.container import hostfiles, networking
from lading.container.options import EndpointSettings, NetworkingConfig
from lading.container.places import Places
from lading.container.record import Container
from lading.container.roster import Roster
from lading.errors import NotFound
from lading.network.endpoints import AlreadyConnected, NotConnected
from lading.network.networks import Networks
from lading.network.values import Network


class Connector:
    """Change the networks of one container after another, each change whole or not made."""

    def __init__(self, roster: Roster, networks: Networks, places: Places) -> None:
        self._roster, self._networks, self._places = roster, networks, places

    def connect(self, network_ref: str, ref: str, settings: EndpointSettings) -> None:
        """Put it on one more; it is there at the next start too.

        NetworkNotFound, ContainerNotFound, SharedNetwork, AlreadyConnected, what
        `networking.check` and `Networks.connect` raise.
        """
        network = self._networks.find(network_ref)
        with self._roster.locked(ref) as slot, ExitStack() as undo:
            container = slot.container
            networking.check_connectable(container, network)
            settings = networking.checked_for(network, settings)
            there = networking.endpoints(container)
            if container.running:
                if network.name in there:
                    raise AlreadyConnected(container.name, network)
                wish = networking.request(network.name, settings)
                sandbox = self._networks.connect(container.id, wish)
                undo.callback(self._networks.disconnect, container.id, network)
                hostfiles.write(self._places.directory(container.id), container, sandbox)
            self._roster.keep(slot, _with(container, {**there, network.name: settings}))
            undo.pop_all()

    def disconnect(self, network_ref: str, ref: str, *, force: bool = False) -> None:
        """Take it off; *force* also where the network is gone.  NotConnected and the like."""
        with self._roster.locked(ref) as slot:
            container = slot.container
            there = networking.endpoints(container)
            network = self._network(network_ref, forgiven=force and network_ref in there)
            name = network.name if network else network_ref
            if network is not None:
                if network.driver != "bridge" or name not in there:
                    raise NotConnected(container.id, network)
                if container.running:
                    sandbox = self._networks.disconnect(container.id, network)
                    hostfiles.write(self._places.directory(container.id), container, sandbox)
            rest = {key: each for key, each in there.items() if key != name}
            self._roster.keep(slot, _with(container, rest))

    def _network(self, ref: str, *, forgiven: bool) -> Network | None:
        try:
            return self._networks.find(ref)
        except NotFound:
            if forgiven:
                return None
            raise


def _with(container: Container, endpoints: networking.Endpoints) -> Container:
    wanted = NetworkingConfig(endpoints_config=endpoints)
    return msgspec.structs.replace(container, networking=wanted)
