"""A file between a writer who must not wait and a reader who takes its time.

What is written is kept on disk at once, and passed on from there by a thread of its own, so
that both work at the same time and neither holds up the other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from lading.layer.pack import Output

_PIECE = 256 * 1024


class Spool:
    """The writer's end; made by `spooled`."""

    def __init__(self, descriptor: int, out: Output) -> None:
        self._descriptor, self._out = descriptor, out
        self._change = threading.Condition()
        self._pending = bytearray()  # small pieces that are to be written together
        self._written = 0
        self._ended = self._given_up = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="spool")
        self._thread.start()

    def write(self, piece: bytes, /) -> int:
        """Keep *piece*; OSError when the disk is full."""
        self._pending += piece
        if len(self._pending) >= _PIECE:
            self._flush()
        return len(piece)

    def finish(self) -> None:
        """Wait until all has been passed on; raises what the reader raised."""
        try:
            self._flush()
        finally:
            self._end(given_up=False)
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Pass on no more."""
        self._end(given_up=True)

    def _flush(self) -> None:
        with memoryview(self._pending) as whole:
            left = whole
            while left:
                left = left[os.write(self._descriptor, left) :]
            length = len(whole)
        with self._change:
            self._written += length
            self._change.notify()
        self._pending = bytearray()

    def _end(self, *, given_up: bool) -> None:
        with self._change:
            self._ended, self._given_up = True, given_up
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            at = 0
            while length := self._ready(at):
                piece = os.pread(self._descriptor, min(length, _PIECE), at)
                self._out.write(piece)
                at += len(piece)
        except Exception as error:
            self._error = error

    def _ready(self, at: int) -> int:
        """How many bytes there are from *at* on; 0 when there will be none."""
        with self._change:
            self._change.wait_for(lambda: self._ended or self._written > at)
            return 0 if self._given_up else self._written - at


@contextmanager
def spooled(out: Output, folder: Path) -> Iterator[Spool]:
    """What is written to the spool, a file without a name in *folder*, goes to *out*.

    All of it when the context ends well; else as much as had been passed on.
    """
    with TemporaryFile(dir=folder, buffering=0) as file:
        spool = Spool(file.fileno(), out)
        try:
            yield spool
        except BaseException:
            spool.give_up()
            raise
        spool.finish()
