"""One bridge at work: who is connected to it, and namespaces made ahead for who comes next.

To connect is to take a spare.  To disconnect is to put the removal of a link, which the
kernel takes its time for, off to a thread; its address is nobody's until that is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lading.errors import Denied, Invalid
from lading.network import bridge, conntrack
from lading.network.addresses import Addresses, AddressTaken, NoAddressLeft
from lading.network.pool import Pool
from lading.network.values import Network
from lading.network.wiring import INTERFACE, Place, Wired, Wiring

_LOG = logging.getLogger(__name__)
_SPARES = 4
_SMALL = 64  # the addresses of a subnet that has no more are all for containers


class NetworkInUse(Denied):
    """Raised where a network is to be removed that containers are on, in Docker's words."""

    def __init__(self, network: Network) -> None:
        super().__init__(
            f"error while removing network: network {network.name} id {network.id} "
            "has active endpoints"
        )


class NetworkGone(Denied):
    """Raised where a network has been removed between being found and being joined."""


class NotInSubnet(Invalid):
    """Raised for an address that is not of the network's."""


class Segment:
    """The containers of one bridge network; thread safe."""

    def __init__(self, network: Network, wiring: Wiring) -> None:
        self._network = network
        self._wiring = wiring
        self._subnet = IPv4Network(network.subnet)
        self._gateway = IPv4Address(network.gateway)
        self._addresses = Addresses(
            self._subnet,
            self._gateway,
            pool=IPv4Network(network.ip_range) if network.ip_range else None,
            reserved=[IPv4Address(each) for each in network.reserved.values()],
        )
        self._lock = threading.Lock()
        self._links: set[str] = set()  # of containers, on the host
        self._coming = 0  # containers whose link is being made
        self._retired = False
        self._index: int | None = None
        wanted = network.predefined and self._subnet.num_addresses > _SMALL
        self._spares = Pool(self._made, self._unmade, _SPARES if wanted else 0)
        self._removals = ThreadPoolExecutor(1, thread_name_prefix="network-removal")

    def open(self, connected: Iterable[Wired]) -> None:
        """See to the bridge, with who is *connected* already; OSError."""
        for wired in connected:
            self._links.add(wired.host_interface)
            try:
                if wired.address is not None:
                    self._addresses.claim(wired.address)
            except AddressTaken as error:
                _LOG.error("two containers on network %s: %s", self._network.name, error)
        self.restore()
        if self._network.predefined:
            self._spares.fill()

    def connect(self, mac: str | None = None) -> Wired:
        """A namespace on this network, its own from now on; NoAddressLeft, OSError."""
        return self._entered(
            lambda: (self._spares.take() if mac is None else None) or self._made_anyhow(mac)
        )

    def join(self, netns: Path, interface: str, *, address: str, mac: str | None) -> Wired:
        """One more interface for a namespace, at *address* or any.

        NotInSubnet, AddressTaken, NoAddressLeft, OSError.
        """
        return self._entered(lambda: self._joined(netns, interface, address, mac))

    def disconnect(self, wired: Wired, *, wait: bool = False) -> None:
        """Remove a link, and its namespace with it, soon; at once when closed or told to wait."""
        with self._lock:
            self._links.discard(wired.host_interface)
        try:
            removal = self._removals.submit(self._disconnect, wired)
        except RuntimeError:
            self._disconnect(wired)
        else:
            if wait:
                removal.result()

    def retire(self) -> None:
        """Let nobody in any more; NetworkInUse where somebody is."""
        with self._lock:
            if self._links or self._coming:
                raise NetworkInUse(self._network)
            self._retired = True

    def restore(self) -> None:
        """Make the bridge what it should be, whatever others did to it; OSError."""
        with self._lock:
            self._index = bridge.ensure(self._network, frozenset(self._links))

    def close(self) -> None:
        """Finish what is put off, and remove the spares; who is connected stays.  Idempotent."""
        self._spares.close()
        self._removals.shutdown()

    def _entered(self, make: Callable[[], Wired]) -> Wired:
        """What *make* makes, counted from before it is there."""
        with self._lock:
            if self._retired:
                raise NetworkGone(f"network {self._network.name} is being removed")
            self._coming += 1
        try:
            if bridge.index_of(self._network.interface) != self._index:
                self._spares.drain()
                self.restore()
            wired = make()
            with self._lock:
                self._links.add(wired.host_interface)
            return wired
        finally:
            with self._lock:
                self._coming -= 1

    def _made_anyhow(self, mac: str | None) -> Wired:
        """Made now; where addresses run out, those that nobody uses yet or any more count."""
        try:
            return self._made(mac)
        except NoAddressLeft:
            self._removals.submit(self._spares.drain).result()
            return self._made(mac)

    def _made(self, mac: str | None = None) -> Wired:
        return self._placed("", INTERFACE, mac, self._wiring.wired, gateway=self._gateway)

    def _joined(self, netns: Path, interface: str, address: str, mac: str | None) -> Wired:
        def make(place: Place) -> Wired:
            return self._wiring.joined(netns, place)

        try:
            return self._placed(address, interface, mac, make)
        except (NoAddressLeft, AddressTaken):
            # Those that nobody uses yet or any more count.
            self._removals.submit(self._spares.drain).result()
            return self._placed(address, interface, mac, make)

    def _placed(
        self,
        address: str,
        interface: str,
        mac: str | None,
        make: Callable[[Place], Wired],
        *,
        gateway: IPv4Address | None = None,
    ) -> Wired:
        taken = self._claimed(address) if address else self._addresses.take()
        network = self._network
        with ExitStack() as undo:
            undo.callback(self._addresses.free, taken)
            place = Place(
                *(network.interface, self._subnet, gateway, taken, mac, interface),
                mtu=network.mtu,
                isolated=not network.talks,
            )
            wired = make(place)
            undo.pop_all()
        return wired

    def _claimed(self, text: str) -> IPv4Address:
        address = IPv4Address(text)
        if address not in self._subnet:
            raise NotInSubnet(f"no configured subnet contains IP address {text}")
        self._addresses.claim(address)
        return address

    def _unmade(self, wired: Wired) -> None:
        self._wiring.remove(wired.netns, wired.host_interface)
        if wired.address is not None:
            self._addresses.free(wired.address)

    def _disconnect(self, wired: Wired) -> None:
        try:
            self._wiring.remove(wired.netns, wired.host_interface)
            if wired.address is not None:
                conntrack.forget_address(wired.address)
                self._addresses.free(wired.address)
        except Exception:
            _LOG.exception("a link of network %s cannot be removed", self._network.name)
