"""A blob as a stream that outlives its connections: broken ones are taken up where they ended.

No more bytes come out than the blob has, and none in place of others; that they are the
right ones is for whoever hashes them to say.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any

from lading.errors import Unavailable
from lading.oci.descriptor import Descriptor
from lading.registry.message import Body, Broken, Response
from lading.registry.patience import Patience

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SKIP = 256 * 1024

Ask = Callable[[int], Response]
Clock = Callable[[], float]


class Incomplete(Unavailable):
    """Raised where a blob does not come whole, however often it is asked for."""

    def __init__(self, descriptor: Descriptor, at: int, why: str) -> None:
        super().__init__(
            f"{descriptor.digest} broke off after {at} of {descriptor.size} bytes: {why}"
        )


class Download(io.RawIOBase):
    """The bytes of *descriptor*; *ask* requests them from an offset on."""

    def __init__(
        self,
        descriptor: Descriptor,
        ask: Ask,
        patience: Patience,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._descriptor, self._ask, self._patience = descriptor, ask, patience
        self._clock, self._sleep = clock, sleep
        self._at = 0
        self._left = patience.tries  # attempts, renewed by progress
        self._body: Body | None = self._take(ask(0))
        self._begin()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, at most *size*, all for -1; none at the end; Incomplete."""
        if size < 0:
            return self.readall()
        while self._at < self._descriptor.size:
            try:
                piece = self._piece(size)
            except Broken as error:
                self._resume(str(error))
                continue
            self._at += len(piece)
            return piece
        self._end()
        return b""

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._drop()
        super().close()

    def _piece(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._take(self._ask(self._at))
            self._begin()
        piece = self._body.read(size)
        if not piece:
            raise Broken("the connection ended early")
        if len(piece) > self._descriptor.size - self._at:
            raise Incomplete(self._descriptor, self._at, "more bytes come than it has")
        self._watch(len(piece))
        return piece

    def _begin(self) -> None:
        self._since, self._counted = self._clock(), 0

    def _watch(self, count: int) -> None:
        """Broken where the bytes come so slowly that it is no use to wait for them."""
        self._counted += count
        if self._counted >= self._patience.slow_bytes:
            self._left = self._patience.tries
            self._begin()
        elif self._clock() - self._since > self._patience.slow_seconds:
            raise Broken(f"only {self._counted} bytes in {self._patience.slow_seconds:.0f} seconds")

    def _resume(self, why: str) -> None:
        self._drop()
        self._left -= 1
        if self._left <= 0:
            raise Incomplete(self._descriptor, self._at, why)
        tried = self._patience.tries - self._left
        self._sleep(min(self._patience.longest_pause, self._patience.pause * 2 ** (tried - 1)))

    def _take(self, response: Response) -> Body:
        """The body, at the byte that is wanted next."""
        if response.status == 206:
            found = _RANGE.fullmatch(response.header("content-range"))
            begins = int(found[1]) if found else -1
            if begins != self._at or (found and found[3] not in ("*", str(self._size))):
                response.body.close()
                raise Broken(f"another range came than from {self._at} on")
            return response.body
        left = self._at
        while left:  # it does not do ranges: what is here already comes again
            piece = response.body.read(min(left, _SKIP))
            if not piece:
                response.body.close()
                raise Broken("the connection ended early")
            left -= len(piece)
        return response.body

    def _end(self) -> None:
        """See that nothing follows, so that the connection can be used again."""
        body, self._body = self._body, None
        if body is None:
            return
        try:
            more = body.read(1)
        except Broken:
            more = b""
        body.close()
        if more:
            raise Incomplete(self._descriptor, self._at, "more bytes come than it has")

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    @property
    def _size(self) -> int:
        return self._descriptor.size
