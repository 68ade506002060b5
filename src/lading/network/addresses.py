"""Who has which address on a bridge.

The next address is the one after the last given, not the lowest: an address just
given back may still be remembered by a neighbour or a connection.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from lading.errors import Conflict, Unavailable


class AddressTaken(Conflict):
    """Raised where a wanted address is somebody's."""

    def __init__(self, address: IPv4Address) -> None:
        super().__init__(f"Address already in use: {address}")


class NoAddressLeft(Unavailable):
    """Raised when every address of a subnet is somebody's."""

    def __init__(self, subnet: IPv4Network) -> None:
        super().__init__(f"no available IPv4 addresses on this network's address pool: {subnet}")


class Addresses:
    """The addresses of one subnet; thread safe."""

    def __init__(
        self,
        subnet: IPv4Network,
        gateway: IPv4Address,
        *,
        pool: IPv4Network | None = None,
        reserved: Iterable[IPv4Address] = (),
    ) -> None:
        """*pool*: the part that `take` gives of; *reserved* addresses are nobody's."""
        self.subnet = subnet
        self.gateway = gateway
        self._pool = pool or subnet
        self._lock = threading.Lock()
        ends = {subnet.network_address, subnet.broadcast_address}
        self._kept = frozenset({gateway, *ends, *reserved})
        self._used = set(self._kept)
        self._last = -1

    def take(self) -> IPv4Address:
        """An address that nobody has, until `free`; NoAddressLeft."""
        with self._lock:
            for step in range(1, self._pool.num_addresses + 1):
                offset = (self._last + step) % self._pool.num_addresses
                address = self._pool.network_address + offset
                if address not in self._used:
                    self._used.add(address)
                    self._last = offset
                    return address
        raise NoAddressLeft(self.subnet)

    def claim(self, address: IPv4Address) -> None:
        """Take just this one; AddressTaken."""
        with self._lock:
            if address in self._used:
                raise AddressTaken(address)
            self._used.add(address)

    def is_free(self, address: IPv4Address) -> bool:
        with self._lock:
            return address in self.subnet and address not in self._used

    def free(self, address: IPv4Address) -> None:
        """Give an address back; idempotent."""
        with self._lock:
            if address not in self._kept:
                self._used.discard(address)


def mac_of(address: IPv4Address) -> str:
    """The Ethernet address that goes with an IPv4 one, as Docker makes it."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + address.packed)
