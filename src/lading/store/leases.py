"""What operations in progress need kept, though no record names it yet.

Leases live in memory: when the daemon dies its operations die with it, and what they
had stored so far may be collected.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lading.oci.digest import Digest


class Lease:
    """The digests that one operation holds."""

    def __init__(self) -> None:
        self._held: set[Digest] = set()

    def hold(self, *digests: Digest) -> None:
        """Keep *digests* until the lease ends."""
        self._held.update(digests)

    @property
    def held(self) -> frozenset[Digest]:
        return frozenset(self._held)


class Leases:
    """All leases of this engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()

    @contextmanager
    def take(self) -> Iterator[Lease]:
        """A lease for as long as the context lasts."""
        lease = Lease()
        with self._lock:
            self._leases.add(lease)
        try:
            yield lease
        finally:
            with self._lock:
                self._leases.discard(lease)

    def held(self) -> frozenset[Digest]:
        """Everything that some operation holds now."""
        with self._lock:
            return frozenset().union(*(lease.held for lease in self._leases))
