"""An instance's table in the packet filter, and who publishes what in it.

Whoever reloads a firewall flushes our table too.  It is made whole again at the next
change that the kernel refuses for that, and by `restore`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from lading.network import rules
from lading.network.nft import Nft, NftFailed
from lading.network.rules import Bridged, Forward


class Table:
    """One table, from `open` to `close`; thread safe.  It stays when it is closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._bridges: tuple[Bridged, ...] = ()
        self._forwards: dict[str, tuple[Forward, ...]] = {}
        self._nft: Nft | None = None

    def open(self, bridges: Sequence[Bridged], forwards: Mapping[str, Sequence[Forward]]) -> None:
        """Make the table anew, with what is published already; NftUnsupported, NftFailed."""
        with self._lock:
            self._bridges = tuple(bridges)
            self._forwards = {owner: tuple(each) for owner, each in forwards.items()}
            self._replace()

    def publish(self, owner: str, forwards: Sequence[Forward]) -> None:
        """Let packets through to a container's ports: to all or to none; NftFailed."""
        if not forwards:
            return
        with self._lock:
            self._forwards[owner] = tuple(forwards)
            try:
                self._change(rules.publish_text(self._name, forwards))
            except NftFailed:
                del self._forwards[owner]
                raise

    def withdraw(self, owner: str) -> None:
        """Take back what *owner* published; idempotent; NftFailed."""
        with self._lock:
            forwards = self._forwards.pop(owner, ())
            if forwards:
                self._change(rules.withdraw_text(self._name, forwards))

    def restore(self) -> None:
        """Make the table what it should be, whatever others did to it; NftFailed."""
        with self._lock:
            self._replace()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._nft is not None:
                self._nft.close()
            self._nft = None

    def remove(self) -> None:
        """Remove it from the kernel; idempotent; NftUnsupported, NftFailed."""
        with self._lock:
            self._run(rules.remove_text(self._name))

    def _change(self, commands: str) -> None:
        try:
            self._run(commands)
        except NftFailed:
            self._replace()

    def _replace(self) -> None:
        forwards = [forward for each in self._forwards.values() for forward in each]
        self._run(rules.table_text(self._name, self._bridges, forwards))

    def _run(self, commands: str) -> None:
        if self._nft is None:
            self._nft = Nft()
        self._nft.run(commands)
