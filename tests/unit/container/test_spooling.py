"""A writer that must not wait, and a reader that takes its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lading.container.spooling import spooled


class Slow:
    """A reader that takes its time, and may refuse."""

    def __init__(self, seconds: float = 0.0, *, fails: bool = False) -> None:
        self.got = b""
        self._seconds, self._fails = seconds, fails

    def write(self, piece: bytes, /) -> int:
        time.sleep(self._seconds)
        if self._fails:
            raise ValueError("no more")
        self.got += piece
        return len(piece)


def test_every_byte_arrives_in_order(tmp_path: Path) -> None:
    reader = Slow()
    pieces = [bytes([n % 251]) * (n * 7) for n in range(1000)]
    with spooled(reader, tmp_path) as spool:
        for piece in pieces:
            spool.write(piece)
    assert reader.got == b"".join(pieces)


def test_nothing_at_all_is_passed_on_too(tmp_path: Path) -> None:
    reader = Slow()
    with spooled(reader, tmp_path):
        pass
    assert reader.got == b""


def test_the_writer_does_not_wait_for_the_reader(tmp_path: Path) -> None:
    reader = Slow(0.1)
    began = time.monotonic()
    with spooled(reader, tmp_path) as spool:
        for _ in range(8):
            spool.write(bytes(256 * 1024))
        written = time.monotonic() - began
    assert len(reader.got) == 8 * 256 * 1024
    assert written < time.monotonic() - began - 0.3


def test_what_the_reader_raises_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more"), spooled(Slow(fails=True), tmp_path) as spool:
        spool.write(b"x")


def test_a_writer_that_fails_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    reader = Slow()
    with pytest.raises(KeyError), spooled(reader, tmp_path) as spool:
        spool.write(b"x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
