"""Who uses a place that has no locks: each leaves a mark there, and looks for those of others.

Mark first, then look: of two that exclude each other at least one sees the other.  A mark is
renewed while it holds; one that was not for a quarter of an hour, by the service's clock, is
of somebody who was cut off.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex

from lading.backup.layout import InUse
from lading.backup.shelf import Item, Shelf
from lading.errors import Conflict, Denied, LadingError

WRITERS, SWEEPERS = ".lading/writers", ".lading/sweepers"
_STALE = 15 * 60
_RENEWED = 60

_LOG = logging.getLogger(__name__)


class Overdue(Conflict):
    """Raised where a mark could not be renewed for so long that others may have ignored it."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} was out of reach for too long: try again")


class Presence:
    """The marks of one user of a place."""

    def __init__(self, shelf: Shelf, where: str) -> None:
        self._shelf, self._where = shelf, where
        self._renewed: dict[str, float] = {}
        self._now = 0.0  # by the service's clock, when this was held last

    @contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        """Keep sweepers away, or *alone* everybody; InUse."""
        key = f"{SWEEPERS if alone else WRITERS}/{token_hex(8)}"
        try:
            self._mark(key)
        except Denied:
            if alone:
                raise
            yield  # who may not write can still read
            return
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(key, ended), daemon=True)
        try:
            self._look(key, alone=alone)
            renewing.start()
            yield
        finally:
            ended.set()
            if renewing.ident is not None:
                renewing.join()
            self._renewed.pop(key, None)
            with suppress(LadingError):  # it grows stale by itself
                self._shelf.remove(key)

    def check(self) -> None:
        """Overdue where what was written meanwhile may be swept already."""
        if any(_now() - renewed > _STALE - 2 * _RENEWED for renewed in self._renewed.values()):
            raise Overdue(self._where)

    def is_stale(self, item: Item) -> bool:
        """Whether somebody who was cut off has left it."""
        return self._now - item.modified > _STALE

    def _look(self, key: str, *, alone: bool) -> None:
        writers, sweepers = self._shelf.items(WRITERS), self._shelf.items(SWEEPERS)
        mine = [item for item in (*writers, *sweepers) if item.key == key]
        self._now = max((item.modified for item in mine), default=0.0)
        for item in (*writers, *sweepers) if alone else sweepers:
            if item.key == key:
                continue
            if not self.is_stale(item):
                raise InUse(self._where)
            self._shelf.remove(item.key)

    def _mark(self, key: str) -> None:
        self._shelf.write(key, io.BytesIO(b"\n"), 1)
        self._renewed[key] = _now()

    def _renew(self, key: str, ended: threading.Event) -> None:
        while not ended.wait(_RENEWED):
            try:
                self._mark(key)
            except LadingError as error:
                _LOG.warning("%s: %s", self._where, error)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # which also counts while the host sleeps
