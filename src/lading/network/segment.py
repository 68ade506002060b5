"""One bridge at work: who is connected to it, and namespaces made ahead for who comes next.

To connect is to take a spare.  To disconnect is to put the removal of a link, which the
kernel takes its time for, off to a thread; its address is nobody's until that is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network

from lading.network import bridge, conntrack
from lading.network.addresses import Addresses, AddressTaken, NoAddressLeft
from lading.network.pool import Pool
from lading.network.values import Network
from lading.network.wiring import Place, Wired, Wiring

_LOG = logging.getLogger(__name__)
_SPARES = 4
_SMALL = 64  # the addresses of a subnet that has no more are all for containers


class Segment:
    """The containers of one bridge network; thread safe."""

    def __init__(self, network: Network, wiring: Wiring) -> None:
        self._network = network
        self._wiring = wiring
        self._subnet = IPv4Network(network.subnet)
        self._gateway = IPv4Address(network.gateway)
        self._addresses = Addresses(self._subnet, self._gateway)
        self._lock = threading.Lock()
        self._links: set[str] = set()  # of containers, on the host
        self._index: int | None = None
        spares = _SPARES if self._subnet.num_addresses > _SMALL else 0
        self._spares = Pool(self._made, self._unmade, spares)
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
        self._spares.fill()

    def connect(self, mac: str | None = None) -> Wired:
        """A namespace on this network, its own from now on; NoAddressLeft, OSError."""
        if bridge.index_of(self._network.interface) != self._index:
            self._spares.drain()
            self.restore()
        wired = (self._spares.take() if mac is None else None) or self._made_anyhow(mac)
        with self._lock:
            self._links.add(wired.host_interface)
        return wired

    def disconnect(self, wired: Wired) -> None:
        """Remove a namespace and its link, soon; at once when closed."""
        with self._lock:
            self._links.discard(wired.host_interface)
        try:
            self._removals.submit(self._disconnect, wired)
        except RuntimeError:
            self._disconnect(wired)

    def restore(self) -> None:
        """Make the bridge what it should be, whatever others did to it; OSError."""
        with self._lock:
            self._index = bridge.ensure(self._network, frozenset(self._links))

    def close(self) -> None:
        """Finish what is put off, and remove the spares; who is connected stays.  Idempotent."""
        self._spares.close()
        self._removals.shutdown()

    def _made_anyhow(self, mac: str | None) -> Wired:
        """Made now; where addresses run out, those that nobody uses yet or any more count."""
        try:
            return self._made(mac)
        except NoAddressLeft:
            self._removals.submit(self._spares.drain).result()
            return self._made(mac)

    def _made(self, mac: str | None = None) -> Wired:
        address = self._addresses.take()
        with ExitStack() as undo:
            undo.callback(self._addresses.free, address)
            wired = self._wiring.wired(
                Place(self._network.interface, self._subnet, self._gateway, address, mac)
            )
            undo.pop_all()
        return wired

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
