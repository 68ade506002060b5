"""conmon's log format is read in pieces of any size, and damage is skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.runtime.logs import Entry, Parser

STAMP = b"2026-11-24T08:38:57.775886793+00:00"
STAMP_NS = 1795509537_775886793
LINE = STAMP + b" stdout F hello\n"


def test_whole_lines() -> None:
    entries = Parser().feed(LINE + STAMP + b" stderr F \n")
    assert entries == [
        Entry(STAMP_NS, "stdout", b"hello", False),
        Entry(STAMP_NS, "stderr", b"", False),
    ]


def test_pieces_of_lines() -> None:
    entries = Parser().feed(STAMP + b" stdout P hel\n" + STAMP + b" stdout F lo\n")
    assert [(e.line, e.partial) for e in entries] == [(b"hel", True), (b"lo", False)]


def test_any_bytes_are_kept() -> None:
    line = bytes(range(256)).replace(b"\n", b"")
    assert Parser().feed(STAMP + b" stdout F " + line + b"\n")[0].line == line


@pytest.mark.parametrize(
    ("stamp", "hours"),
    [
        (b"2026-11-24T08:38:57.775886793Z", 0),
        (b"2026-11-24T10:08:57.775886793+01:30", 0),
        (b"2026-11-24T08:38:57.775886793-02:00", 2),
    ],
)
def test_zones(stamp: bytes, hours: int) -> None:
    (entry,) = Parser().feed(stamp + b" stdout F x\n")
    assert entry.time_ns == STAMP_NS + hours * 3600 * 1_000_000_000


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 4096,
        b"garbage",
        STAMP + b" stdout",
        STAMP + b" stdin F x",
        STAMP + b" stdout X x",
        b"2026-99-24T08:38:57.775886793+00:00 stdout F x",
        b"2026-11-24T08:38:57+00:00 stdout F x",
        b"2026-11-24T08:38:57.775886793+zz:00 stdout F x",
        b"\xff\xfe" + STAMP + b" stdout F x",
    ],
)
def test_damaged_lines_are_counted_and_skipped(damage: bytes) -> None:
    parser = Parser()
    entries = parser.feed(LINE + damage + b"\n" + LINE)
    assert [e.line for e in entries] == [b"hello", b"hello"]
    assert parser.damaged == 1


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    parser = Parser()
    for _ in range(1000):
        assert parser.feed(b"x" * 65536) == []
    assert len(parser._rest) <= 65536
    assert parser.feed(b"end\n" + LINE) == [Entry(STAMP_NS, "stdout", b"hello", False)]
    assert parser.damaged == 1


@given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b"")), max_size=20), st.data())
def test_the_cut_does_not_matter(texts: list[bytes], data: st.DataObject) -> None:
    log = b"".join(STAMP + b" stdout F " + text + b"\n" for text in texts)
    cut = data.draw(st.integers(0, len(log)))
    parser = Parser()
    entries = parser.feed(log[:cut]) + parser.feed(log[cut:])
    assert [entry.line for entry in entries] == texts
