"""An instance's table in the packet filter, and who publishes what in it.

Whoever reloads a firewall flushes our table too.  It is made whole again at the next
change that the kernel refuses for that, and by `restore`.
"""

from __future__ import annotations

import threading
from collections import Counter
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
        self._shape: Counter[str] | None = None  # what was there when it was made

    @property
    def name(self) -> str:
        return self._name

    def open(self, bridges: Sequence[Bridged], forwards: Mapping[str, Sequence[Forward]]) -> None:
        """Make the table anew, with what is published already; NftUnsupported, NftFailed."""
        with self._lock:
            self._bridges = tuple(bridges)
            self._forwards = {owner: tuple(each) for owner, each in forwards.items()}
            self._replace()

    def set_bridges(self, bridges: Sequence[Bridged]) -> None:
        """Have the rules for just these bridges; NftFailed."""
        with self._lock:
            before, self._bridges = self._bridges, tuple(bridges)
            try:
                self._replace()
            except NftFailed:
                self._bridges = before
                raise

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

    def is_whole(self) -> bool:
        """Whether all is there that belongs in it; NftFailed where even the table is gone."""
        with self._lock:
            return self._nft is None or self._listed() == self._shape

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
        self._shape = self._listed()

    def _listed(self) -> Counter[str]:
        """How many rules, chains and sets there are, and which fixed elements."""
        assert self._nft is not None
        found: Counter[str] = Counter()
        for thing in self._nft.listed(f"table inet {self._name}"):
            ((kind, facts),) = thing.items()
            fixed = sorted(map(str, facts.get("elem", ()))) if kind == "set" else []
            found[f"{kind} {facts.get('name', facts.get('chain'))} {fixed}"] += 1
        return found

    def _run(self, commands: str) -> None:
        if self._nft is None:
            self._nft = Nft()
        self._nft.run(commands)
