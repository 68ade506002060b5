"""The networks that there are: found by name or ID, and remembered in the database."""

from __future__ import annotations

import threading

from lading.errors import Conflict, Invalid, NotFound
from lading.network.predefined import BRIDGE, predefined
from lading.network.values import Network
from lading.store.records import Records


class NetworkNotFound(NotFound):
    """Raised for a name, ID or prefix that no network has."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"network {ref[:300]} not found")
        self.ref = ref


class AmbiguousNetwork(Invalid):
    """Raised for the beginning of several networks' IDs."""

    def __init__(self, ref: str, matches: int) -> None:
        super().__init__(f"network {ref} is ambiguous ({matches} matches found on ID prefix)")


class NetworkExists(Conflict):
    """Raised for a name that another network has, in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f"network with name {name} already exists")


class Known:
    """Networks by ID; thread safe."""

    def __init__(self, records: Records[Network]) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._networks: dict[str, Network] = {}

    def load(self, interface: str) -> None:
        """Read what is recorded; bridge, host and none are when they were not."""
        own = predefined(self._records, interface)
        with self._lock:
            self._networks = dict(self._records.all())
            self._networks.update((each.id, each) for each in own.values())

    def recorded(self) -> list[Network]:
        """Every network of the database, whether `load`ed or not."""
        return list(self._records.all().values())

    def all(self) -> list[Network]:
        """Every network, by name."""
        with self._lock:
            found = list(self._networks.values())
        return sorted(found, key=lambda network: network.name)

    def default(self) -> Network:
        """The default bridge."""
        return self.named(BRIDGE)

    def get(self, network_id: str) -> Network | None:
        with self._lock:
            return self._networks.get(network_id)

    def find(self, ref: str) -> Network:
        """By full ID, name or unique prefix, in Docker's order; NetworkNotFound."""
        known = self.all()
        exact = [n for n in known if n.id == ref] or [n for n in known if n.name == ref]
        found = exact or [n for n in known if ref and n.id.startswith(ref)]
        if not found:
            raise NetworkNotFound(ref)
        if len(found) > 1:
            raise AmbiguousNetwork(ref, len(found))
        return found[0]

    def named(self, name: str) -> Network:
        """By its whole name alone; NetworkNotFound."""
        found = next((network for network in self.all() if network.name == name), None)
        if found is None:
            raise NetworkNotFound(name)
        return found

    def check_free(self, name: str) -> None:
        """NetworkExists when *name* is some network's."""
        if any(network.name == name for network in self.all()):
            raise NetworkExists(name)

    def keep(self, network: Network) -> None:
        """Remember it, durably on return."""
        self._records.put(network.id, network)
        with self._lock:
            self._networks[network.id] = network

    def forget(self, network: Network) -> None:
        self._records.delete(network.id)
        with self._lock:
            self._networks.pop(network.id, None)
