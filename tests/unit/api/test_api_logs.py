"""Logs are read across rotations, from near their end, and formatted as clients want them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.api.log_files import LogReader
from lading.api.log_format import LogFormat, LogWishes
from lading.api.stdcopy import frame
from lading.runtime.logs import Entry

STAMP = "2026-11-24T08:29:{:02d}.000000001+00:00"
BOTH = LogWishes(stdout=True, stderr=True, raw=True)


def line(number: int, text: str, stream: str = "stdout", tag: str = "F") -> str:
    return f"{STAMP.format(number % 60)} {stream} {tag} {text}\n"


def texts(reader: LogReader) -> list[str]:
    found: list[str] = []
    while entries := reader.read():
        found += [entry.line.decode() for entry in entries]
    return found


def test_all_files_are_read_oldest_first(tmp_path: Path) -> None:
    (tmp_path / "log.1").write_text(line(1, "a") + line(2, "b"))
    (tmp_path / "log").write_text(line(3, "c"))
    reader = LogReader(lambda: [tmp_path / "log.1", tmp_path / "log"])
    assert texts(reader) == ["a", "b", "c"]
    reader.close()


def test_what_is_added_is_read_later(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(line(1, "a")[:-10])
    reader = LogReader(lambda: [log])
    assert texts(reader) == []
    log.write_text(line(1, "a") + line(2, "b"))
    assert texts(reader) == ["a", "b"]
    assert texts(reader) == []
    reader.close()


def test_rotation_loses_nothing(tmp_path: Path) -> None:
    log, old, older = tmp_path / "log", tmp_path / "log.1", tmp_path / "log.2"
    log.write_text(line(1, "a"))
    reader = LogReader(lambda: [p for p in (older, old, log) if p.exists()])
    assert texts(reader) == ["a"]
    with log.open("a") as file:
        file.write(line(2, "b"))
    log.rename(old)
    log.write_text(line(3, "c"))
    assert texts(reader) == ["b", "c"]
    old.rename(older)
    log.rename(old)
    log.write_text(line(4, "d"))
    assert texts(reader) == ["d"]
    reader.close()


def test_two_rotations_between_two_looks_lose_nothing(tmp_path: Path) -> None:
    log, old, older = tmp_path / "log", tmp_path / "log.1", tmp_path / "log.2"
    log.write_text(line(1, "a"))
    reader = LogReader(lambda: [p for p in (older, old, log) if p.exists()])
    assert texts(reader) == ["a"]
    log.rename(older)
    old.write_text(line(2, "b"))
    log.write_text(line(3, "c"))
    assert texts(reader) == ["b", "c"]
    reader.close()


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(line(1, "a"))
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    assert texts(LogReader(lambda: [tmp_path / "log"])) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 100])
def test_a_tail_counts_across_files(tmp_path: Path, count: int) -> None:
    (tmp_path / "log.1").write_text(line(1, "a") + line(2, "b"))
    (tmp_path / "log").write_text(line(3, "c") + line(4, "d"))
    reader = LogReader(lambda: [tmp_path / "log.1", tmp_path / "log"])
    reader.skip_to_last(count)
    assert texts(reader) == ["a", "b", "c", "d"][max(0, 4 - count) :]
    reader.close()


def test_a_long_line_counts_once(tmp_path: Path) -> None:
    pieces = "".join(line(2, "x" * 8000, tag="P") for _ in range(30)) + line(2, "end")
    (tmp_path / "log").write_text(line(1, "a") + pieces + line(3, "c"))
    reader = LogReader(lambda: [tmp_path / "log"])
    reader.skip_to_last(2)
    found = texts(reader)
    assert "".join(found) == "x" * 8000 * 30 + "end" + "c"
    reader.close()


@given(st.lists(st.text("ab\r ", max_size=3000), max_size=60), st.integers(0, 70))
def test_any_tail_is_the_end_of_the_log(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], count: int
) -> None:
    log = tmp_path_factory.mktemp("logs") / "log"
    log.write_text("".join(line(n, text) for n, text in enumerate(lines)), newline="")
    reader = LogReader(lambda: [log])
    reader.skip_to_last(count)
    assert texts(reader) == lines[max(0, len(lines) - count) :]
    reader.close()


def test_raw_output_is_what_was_written() -> None:
    entries = [Entry(1, "stdout", b"a\r", False), Entry(2, "stdout", b"prompt$ ", True)]
    assert LogFormat(BOTH).encode(entries) == b"a\r\nprompt$ "


def test_frames_say_which_stream() -> None:
    entries = [Entry(1, "stdout", b"out", False), Entry(2, "stderr", b"err", False)]
    framed = LogFormat(LogWishes(stdout=True, stderr=True)).encode(entries)
    assert framed == frame(1, b"out\n") + frame(2, b"err\n")


def test_one_stream_alone() -> None:
    entries = [Entry(1, "stdout", b"out", False), Entry(2, "stderr", b"err", False)]
    assert LogFormat(LogWishes(stdout=False, stderr=True, raw=True)).encode(entries) == b"err\n"


def test_times_stand_before_lines_not_before_their_pieces() -> None:
    wishes = LogWishes(stdout=True, stderr=True, raw=True, timestamps=True)
    entries = [Entry(10**9, "stdout", b"a", True), Entry(2 * 10**9, "stdout", b"b", False)]
    assert LogFormat(wishes).encode(entries) == b"1970-01-01T00:00:01.000000000Z ab\n"


def test_since_and_until_are_kept() -> None:
    wishes = LogWishes(stdout=True, stderr=True, raw=True, since=2, until=3)
    entries = [Entry(n, "stdout", b"%d" % n, False) for n in range(1, 6)]
    formatting = LogFormat(wishes)
    assert formatting.encode(entries) == b"2\n3\n"
    assert formatting.past_the_end
