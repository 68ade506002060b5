"""What comes over the wire is understood piece by piece, and what does not fit is an error."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from canned_engine import Asked, CannedEngine
from lading.cli import http, moments, table, units
from lading.cli.client import Client, query_string, quote
from lading.cli.demux import Demux
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import Fault, Refused, Unreachable
from lading.cli.http import Lost
from lading.cli.pump import Pump
from lading.cli.references import reference


@pytest.fixture
def pair() -> Iterator[tuple[http.Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield http.Connection(ours), theirs


Pair = tuple[http.Connection, socket.socket]


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


class TestDemux:
    STREAM = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more")

    @pytest.mark.parametrize("size", [1, 3, 8, 9, 100])
    def test_however_it_is_cut_the_streams_are_whole(self, size: int) -> None:
        demux, found = Demux(), {1: b"", 2: b""}
        for at in range(0, len(self.STREAM), size):
            for kind, text in demux.feed(self.STREAM[at : at + size]):
                found[kind] += text
        assert found == {1: b"outmore", 2: b"err"}

    def test_neighbours_of_one_stream_are_one_piece(self) -> None:
        assert Demux().feed(frame(1, b"a") + frame(1, b"b")) == [(1, b"ab")]

    def test_an_error_of_the_engine_is_one_here(self) -> None:
        with pytest.raises(Fault, match="error from daemon in stream: it broke"):
            Demux().feed(frame(3, b"it broke\n"))

    @pytest.mark.parametrize("head", [b"\4\0\0\0\0\0\0\1", b"\1x\0\0\0\0\0\1", b"hello wo"])
    def test_anything_else_is_refused(self, head: bytes) -> None:
        with pytest.raises(Fault, match="unrecognized header"):
            Demux().feed(head)


class TestDetachKeys:
    @pytest.mark.parametrize(
        ("keys", "typed", "passed", "left"),
        [
            ("", b"ab\x10\x11cd", b"ab", True),
            ("", b"\x10a\x11", b"\x10a\x11", False),
            ("", b"\x10\x10\x11", b"\x10", True),
            ("ctrl-x", b"a\x18", b"a", True),
            ("a,a,b", b"aaab", b"a", True),
            ("a,b,a,c", b"ababac", b"ab", True),
            ("ctrl-@,ctrl-[", b"x\x00\x1b", b"x", True),
        ],
    )
    @pytest.mark.parametrize("whole", [True, False], ids=["at once", "key by key"])
    def test_the_sequence_leaves_and_all_else_passes(
        self, keys: str, typed: bytes, passed: bytes, left: bool, whole: bool
    ) -> None:
        watched, went, done = DetachKeys.parse(keys), b"", False
        pieces = [typed] if whole else [bytes([byte]) for byte in typed]
        for piece in pieces:
            some, done = watched.feed(piece)
            went += some
            if done:
                break
        assert (went, done) == (passed, left)

    @pytest.mark.parametrize("keys", ["ctrl-", "ctrl-1", "ab", "ctrl-p,", "ü"])
    def test_an_unknown_key_is_refused(self, keys: str) -> None:
        with pytest.raises(Fault, match="invalid detach keys"):
            DetachKeys.parse(keys)


class TestAnswers:
    def received(self, pair: Pair, raw: bytes, method: str = "GET") -> http.Response:
        connection, engine = pair
        engine.sendall(raw)
        engine.shutdown(socket.SHUT_WR)
        return http.receive(connection, method)

    @pytest.mark.parametrize(
        ("raw", "body"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", b"ab"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", b""),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2;x=y\r\nab\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
                b"ab0123456789",
            ),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        ],
        ids=["length", "until the end", "none", "chunked", "continue"],
    )
    def test_a_body_has_one_of_several_lengths(self, pair: Pair, raw: bytes, body: bytes) -> None:
        assert self.received(pair, raw).read() == body

    def test_a_head_has_no_body(self, pair: Pair) -> None:
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        assert self.received(pair, raw, "HEAD").read() == b""

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"hello\r\n\r\n",
            b"HTTP/1.1 two OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(2000)) + b"\r\n",
            b"x" * (300 * 1024),
        ],
        ids=["nothing", "no http", "no status", "negative", "short", "short chunk", "bad chunk",
             "many headers", "endless line"],
    )  # fmt: skip
    def test_what_is_no_answer_is_a_lost_connection(self, raw: bytes) -> None:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with ours, theirs, pytest.raises(Lost):
            self.received((http.Connection(ours), theirs), raw).read()

    def test_lines_come_as_soon_as_they_are_whole(self, pair: Pair) -> None:
        connection, engine = pair
        engine.sendall(b"HTTP/1.1 200 OK\r\n\r\none\ntw")
        lines = http.receive(connection, "GET").lines()
        assert next(lines) == b"one"
        engine.sendall(b"o\nthree")
        assert next(lines) == b"two"
        engine.close()
        assert list(lines) == [b"three"]


class TestClient:
    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ({}, ""),
            ({"a": 1, "b": "x y&z"}, "?a=1&b=x%20y%26z"),
            ({"on": True, "off": False, "none": None, "empty": "", "zero": 0}, "?on=1&zero=0"),
            ({"names": ["a", "b"]}, "?names=a&names=b"),
            ({"filters": {"a": ["b"]}, "no": {}}, "?filters=%7B%22a%22:%5B%22b%22%5D%7D"),
            ({"path": "/\udcff"}, "?path=%2F%FF"),
        ],
    )
    def test_a_query_says_what_is_set(self, query: dict[str, object], text: str) -> None:
        assert query_string(query) == text

    def test_a_segment_never_becomes_two(self) -> None:
        assert quote("a/../b?#%") == "a%2F..%2Fb%3F%23%25"

    @pytest.mark.parametrize("name", ["", " ", "/", ".", ".."])
    def test_a_reference_names_something(self, name: str) -> None:
        with pytest.raises(Fault, match="invalid name or ID"):
            reference(name)

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ((409, {"message": "in use"}), "in use"),
            ((500, "plain words\n"), "plain words"),
            ((500, ""), "HTTP status 500"),
            ((500, "[1]"), "[1]"),
        ],
    )
    def test_an_error_is_told_in_whatever_shape_it_comes(
        self, answer: object, said: str, engine: CannedEngine
    ) -> None:
        engine.answers["GET /x"] = answer
        with pytest.raises(Refused) as raised:
            Client(engine.host).get("/x")
        assert str(raised.value) == said

    def test_an_answer_that_is_no_json_is_a_lost_connection(self, engine: CannedEngine) -> None:
        engine.answers["GET /x"] = "<html>"
        with pytest.raises(Unreachable, match="not a JSON document"):
            Client(engine.host).get("/x")

    def test_a_body_is_json_with_its_length(self, engine: CannedEngine) -> None:
        engine.answers["POST /x"] = {"ok": True}
        assert Client(engine.host).post("/x", {"a": 1}, q="2") == {"ok": True}
        asked = engine.asked[0]
        assert (asked.target, asked.json()) == ("/x?q=2", {"a": 1})
        assert asked.headers["content-type"] == "application/json"

    def test_the_daemon_is_started_where_none_listens(self, engine: CannedEngine) -> None:
        path = engine.socket_path
        aside = path.with_name("aside")
        path.rename(aside)
        engine.answers["GET /x"] = 1
        assert Client(engine.host, lambda: aside.rename(path) and None).get("/x") == 1

    def test_no_daemon_is_started_for_a_host_that_was_named(self) -> None:
        with pytest.raises(Unreachable, match="Cannot connect to the lading daemon"):
            Client("unix:///nowhere/at/all").get("/x")

    @pytest.mark.parametrize("host", ["", "unix://", "tcp://127.0.0.1:2375", "/run/x.sock"])
    def test_a_host_is_a_unix_socket(self, host: str) -> None:
        with pytest.raises(Fault, match="invalid host"):
            Client(host)


class TestPump:
    def test_output_goes_out_and_input_goes_in(self, pair: Pair) -> None:
        connection, engine = pair
        reading, writing = os.pipe()
        typed, keyboard = os.pipe()
        try:
            os.write(keyboard, b"typed")
            os.close(keyboard)
            engine.sendall(frame(1, b"shown"))
            engine.shutdown(socket.SHUT_WR)
            pump = Pump(connection, stdin=typed, stdout=writing, stderr=None, demux=Demux())
            assert pump.run() is False
            assert os.read(reading, 99) == b"shown"
        finally:
            for each in (reading, writing, typed):
                os.close(each)

    def test_the_end_of_the_input_reaches_the_engine(self, pair: Pair) -> None:
        connection, engine = pair
        typed, keyboard = os.pipe()
        os.write(keyboard, b"x" * 1000)
        os.close(keyboard)
        Pump(connection, stdin=typed, stdout=None).run(until_input_ends=True)
        os.close(typed)
        content = b""
        while piece := engine.recv(4096):
            content += piece
        assert content == b"x" * 1000

    def test_leaving_holds_back_the_keys(self, pair: Pair) -> None:
        connection, engine = pair
        typed, keyboard = os.pipe()
        os.write(keyboard, b"ab\x10\x11cd")
        pump = Pump(connection, stdin=typed, stdout=None, keys=DetachKeys.parse(""))
        assert pump.run() is True
        for each in (typed, keyboard):
            os.close(each)
        assert engine.recv(99) == b"ab"


class TestWords:
    @pytest.mark.parametrize(
        ("count", "shown"),
        [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_240_000_000, "1.24GB"), (123456, "123.5kB")],
    )
    def test_sizes_are_decimal(self, count: int, shown: str) -> None:
        assert units.size(count) == shown

    @pytest.mark.parametrize(("count", "shown"), [(1024, "1KiB"), (15_938_355, "15.2MiB")])
    def test_memory_is_binary(self, count: int, shown: str) -> None:
        assert units.binary_size(count) == shown

    @pytest.mark.parametrize(
        ("text", "count"),
        [("1", 1), ("512m", 512 << 20), ("1.5g", 3 << 29), ("2 KiB", 2048), ("7b", 7)],
    )
    def test_sizes_are_read_in_powers_of_1024(self, text: str, count: int) -> None:
        assert units.read_size(text) == count

    @pytest.mark.parametrize("text", ["", "x", "-1", "1x", "1e9", "9999999999t"])
    def test_what_is_no_size_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="invalid size"):
            units.read_size(text)

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (0.5, "Less than a second"), (1.9, "1 second"), (59, "59 seconds"),
            (60, "About a minute"), (3599, "59 minutes"), (3600, "About an hour"),
            (86400, "24 hours"), (172800, "2 days"), (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"), (730 * 86400, "2 years"),
        ],
    )  # fmt: skip
    def test_durations_are_dockers_words(self, seconds: float, shown: str) -> None:
        assert units.duration(seconds) == shown

    @pytest.mark.parametrize(
        ("text", "nanoseconds"),
        [("0", 0), ("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000), ("-2ms", -2_000_000)],
    )
    def test_durations_are_read(self, text: str, nanoseconds: int) -> None:
        assert units.read_duration(text) == nanoseconds

    @pytest.mark.parametrize("text", ["", "5", "s", "1 s", "1y", "1h-2m"])
    def test_what_is_no_duration_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="invalid duration"):
            units.read_duration(text)

    def test_wide_characters_take_two_columns(self) -> None:
        assert units.ellipsis("日本語です", 6) == "日本…"
        assert units.ellipsis("abc", 3) == "abc"

    def test_a_column_is_as_wide_as_its_neighbours_need(self) -> None:
        lines = [["a", "b"], ["much-longer-word", "b"], ["alone"], ["c", "d"]]
        assert table.aligned(lines) == (
            "a                  b\nmuch-longer-word   b\nalone\nc         d\n"
        )


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("", ""),
            ("0", "0"),
            ("1767225600.5", "1767225600.5"),
            ("2026-01-01T00:00:00Z", "1767225600.000000000"),
            ("2026-01-01T00:00:00.123456789Z", "1767225600.123456789"),
            ("2026-01-01T02:00:00+02:00", "1767225600.000000000"),
        ],
    )
    def test_a_moment_is_in_seconds_since_1970(self, text: str, shown: str) -> None:
        assert moments.moment(text, "since") == shown

    @pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00", "2026-01-01T00:00"])
    def test_without_a_zone_it_is_the_users(
        self, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "XXX-1")
        time.tzset()
        try:
            assert moments.moment(text, "since") == "1767222000.000000000"
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-01-01T25:00", "12:00", "1d"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(Fault, match='invalid value for "until"'):
            moments.moment(text, "until")


def test_an_asked_path_keeps_its_bytes(engine: CannedEngine) -> None:
    seen: list[Asked] = engine.asked
    with pytest.raises(Refused):
        Client(engine.host).get(f"/containers/{reference('über')}/json")
    assert seen[0].target == "/containers/%C3%BCber/json"
