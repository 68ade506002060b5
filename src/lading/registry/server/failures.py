"""Slow down whoever tries passwords: so many failures in so long, by address."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_ADDRESSES = 10_000


class Failures:
    """Failed logins by address; an IPv6 address stands for its network of 64 bits."""

    def __init__(
        self, most: int = 10, within: float = 60.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._within, self._clock = most, within, clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until *address* may try again; 0 when it may now."""
        moments = self._failed.get(_network(address))
        if not moments:
            return 0
        now = self._clock()
        while moments and now - moments[0] >= self._within:
            moments.popleft()
        if len(moments) < self._most:
            return 0
        return max(1, int(self._within - (now - moments[0])) + 1)

    def note(self, address: str) -> None:
        """Count one failure."""
        network = _network(address)
        moments = self._failed.setdefault(network, deque(maxlen=self._most))
        moments.append(self._clock())
        self._failed.move_to_end(network)
        if len(self._failed) > _MOST_ADDRESSES:
            self._failed.popitem(last=False)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
