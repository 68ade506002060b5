"""See to it that the packet rules stay what they are, whoever reloads a firewall.

The kernel tells of every change to its rules.  When some of ours may have gone, and
others have had a moment to finish, the table is looked at, and made whole again if it
is not.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from contextlib import suppress

from lading.errors import LadingError
from lading.network import netlink
from lading.network.netlink import Netlink
from lading.network.table import Table

_LOG = logging.getLogger(__name__)
_GROUP = 7  # NFNLGRP_NFTABLES
_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_REMOVALS = frozenset(_SUBSYSTEM | number for number in (2, 5, 8, 11))  # table, chain, rule, set
_HEADER = 4  # struct nfgenmsg
_NAME = 1  # NFTA_TABLE_NAME and its like
_QUIET = 0.1  # seconds without another change


class Watch:
    """One thread, from `open` to `close`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._thread: threading.Thread | None = None
        self._stop: socket.socket | None = None

    def open(self) -> None:
        """Begin; what has gone before is not noticed."""
        self._stop, stopped = socket.socketpair()
        wire = Netlink(netlink.NETFILTER, groups=(_GROUP,))
        self._thread = threading.Thread(
            target=self._run, args=(wire, stopped), name="network-watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Idempotent."""
        if self._stop is not None and self._thread is not None:
            self._stop.close()
            self._thread.join()
        self._stop = self._thread = None

    def _run(self, wire: Netlink, stopped: socket.socket) -> None:
        with wire, stopped, selectors.DefaultSelector() as waiting:
            waiting.register(wire, selectors.EVENT_READ)
            waiting.register(stopped, selectors.EVENT_READ)
            suspicious = False
            while True:
                ready = {key.fileobj for key, _ in waiting.select(_QUIET if suspicious else None)}
                if stopped in ready:
                    return
                if ready:
                    suspicious = self._may_harm(wire) or suspicious
                else:
                    suspicious = False
                    self._mend()

    def _may_harm(self, wire: Netlink) -> bool:
        try:
            events = wire.events()
        except OSError:  # more happened than there was room to tell
            return True
        return any(kind in _REMOVALS and self._is_ours(body) for kind, body in events)

    def _is_ours(self, body: bytes) -> bool:
        name = netlink.attributes(body[_HEADER:]).get(_NAME, b"")
        return name.rstrip(b"\0").decode(errors="replace") == self._table.name

    def _mend(self) -> None:
        with suppress(LadingError):
            if self._table.is_whole():
                return
        _LOG.warning("somebody changed the packet rules of %s: restoring them", self._table.name)
        try:
            self._table.restore()
        except LadingError:
            _LOG.exception("the packet rules cannot be restored")
