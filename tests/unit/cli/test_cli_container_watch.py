"""Logs, events, stats, top, diff and port: what is asked, and how the answers look."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine, Handler
from command_line import Lading

NOBODY = (404, {"message": "No such container: nobody"})
STATS = {
    "name": "/web",
    "id": "ab" * 32,
    "pids_stats": {"current": 3},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 12345678},
            {"major": 8, "minor": 0, "op": "write", "value": 4096},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 500_000_000},
        "system_cpu_usage": 4_000_000_000,
        "online_cpus": 2,
    },
    "precpu_stats": {
        "cpu_usage": {"total_usage": 100_000_000},
        "system_cpu_usage": 2_000_000_000,
        "online_cpus": 2,
    },
    "memory_stats": {
        "usage": 50_000_000,
        "limit": 2_000_000_000,
        "stats": {"inactive_file": 1_000_000},
    },
    "networks": {"eth0": {"rx_bytes": 1234, "tx_bytes": 567_890}},
}
EVENTS = (
    {
        "status": "start", "id": "abc", "from": "busybox", "Type": "container", "Action": "start",
        "Actor": {"ID": "abc", "Attributes": {"name": "web", "image": "busybox"}},
        "scope": "local", "time": 1767225600, "timeNano": 1767225600_123456789,
    },
    {
        "Type": "network", "Action": "connect", "Actor": {"ID": "n1", "Attributes": {}},
        "scope": "local", "time": 1767225600, "timeNano": 1767225600_000000000,
    },
)  # fmt: skip


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(asked.target.partition("?")[2])


def stream(kind: str, *pieces: bytes) -> Handler:
    """An answer that lasts until the connection ends."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
        for piece in pieces:
            connection.sendall(piece)

    return answer


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class TestLogs:
    RAW = "application/vnd.docker.raw-stream"
    FRAMED = "application/vnd.docker.multiplexed-stream"

    def test_each_stream_goes_where_it_belongs(self, engine: CannedEngine, lading: Lading) -> None:
        frames = b"\1\0\0\0\0\0\0\4out\n" + b"\2\0\0\0\0\0\0\4err\n"
        engine.answers["GET /containers/web/logs"] = stream(self.FRAMED, frames[:5], frames[5:])
        ended = lading("logs", "web")
        assert (ended.code, ended.out, ended.err) == (0, "out\n", "err\n")

    def test_a_terminals_log_is_shown_byte_by_byte(
        self, engine: CannedEngine, lading: Lading
    ) -> None:
        engine.answers["GET /containers/web/logs"] = stream(self.RAW, b"\1\0\0\0\r\n\xff")
        assert lading("logs", "web").out == "\1\0\0\0\r\n\udcff"

    def test_all_is_asked_for_by_default(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["GET /containers/web/logs"] = stream(self.RAW)
        lading("logs", "web")
        assert query(engine.asked[0]) == {"stdout": ["1"], "stderr": ["1"], "tail": ["all"]}

    def test_flags_become_the_query(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["GET /containers/web/logs"] = stream(self.RAW)
        lading("logs", "-ft", "-n", "5", "--since", "2026-01-01T00:00:00Z", "--until=7.5", "web")
        asked = query(engine.asked[0])
        assert (asked["follow"], asked["timestamps"], asked["tail"]) == (["1"], ["1"], ["5"])
        assert (asked["since"], asked["until"]) == (["1767225600.000000000"], ["7.5"])

    def test_times_ago_are_reckoned_on_this_side(
        self, engine: CannedEngine, lading: Lading
    ) -> None:
        engine.answers["GET /containers/web/logs"] = stream(self.RAW)
        lading("logs", "--since", "1h30m", "web")
        ago = time.time() - float(query(engine.asked[0])["since"][0])
        assert 5400 <= ago < 5410

    def test_a_wrong_time_asks_nothing(self, engine: CannedEngine, lading: Lading) -> None:
        ended = lading("logs", "--since", "yesterday", "web")
        assert ended.code == 1
        assert ended.err == (
            'lading: invalid value for "since":'
            ' failed to parse value as time or duration: "yesterday"\n'
        )
        assert not engine.asked

    def test_a_stream_that_is_cut_off_is_an_error(
        self, engine: CannedEngine, lading: Lading
    ) -> None:
        def answer(asked: Asked, connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")

        engine.answers["GET /containers/web/logs"] = answer
        ended = lading("logs", "web")
        assert (ended.code, ended.out) == (1, "ab")
        assert "lost the connection" in ended.err


@pytest.mark.usefixtures("utc")
class TestEvents:
    @pytest.fixture(autouse=True)
    def happening(self, engine: CannedEngine) -> None:
        lines = (json.dumps(event).encode() + b"\n" for event in EVENTS)
        engine.answers["GET /events"] = stream("application/json", *lines)

    def test_an_event_is_a_line(self, lading: Lading) -> None:
        assert lading("events").out == (
            "2026-01-01T00:00:00.123456789Z container start abc (image=busybox, name=web)\n"
            "2026-01-01T00:00:00.000000000Z network connect n1\n"
        )

    def test_a_line_is_in_local_time(self, lading: Lading, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "XXX+3:30")
        time.tzset()
        assert lading("events").out.startswith("2025-12-31T20:30:00.123456789-03:30 container")

    def test_json_is_as_it_came(self, lading: Lading) -> None:
        shown = [json.loads(line) for line in lading("events", "--format", "json").out.splitlines()]
        assert shown == list(EVENTS)

    def test_templates_see_gos_names(self, lading: Lading) -> None:
        form = "{{.Status}}|{{.ID}}|{{.From}}|{{.Actor.Attributes}}|{{.Time}}|{{.Scope}}"
        assert lading("events", "--format", form).out == (
            "start|abc|busybox|map[image:busybox name:web]|1767225600|local\n"
            "|||map[]|1767225600|local\n"
        )

    def test_filters_and_times_become_the_query(self, engine: CannedEngine, lading: Lading) -> None:
        lading("events", "-f", "type=container", "-f", "event=die", "-f", "event=oom",
               "--since", "5", "--until", "6")  # fmt: skip
        asked = query(engine.asked[0])
        assert json.loads(asked["filters"][0]) == {"type": ["container"], "event": ["die", "oom"]}
        assert (asked["since"], asked["until"]) == (["5"], ["6"])

    def test_a_wrong_template_asks_nothing(self, engine: CannedEngine, lading: Lading) -> None:
        assert lading("events", "--format", "{{").code == 64
        assert not engine.asked

    def test_a_filter_without_a_value_is_refused(
        self, engine: CannedEngine, lading: Lading
    ) -> None:
        assert lading("events", "-f", "container").code == 125
        assert not engine.asked


class TestStats:
    # What docker 28 prints for the same figures.
    TABLE = (
        "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT     MEM %     NET I/O          "
        "BLOCK I/O        PIDS\n"
        "abababababab   web       40.00%    46.73MiB / 1.863GiB   2.45%     1.23kB / 568kB   "
        "12.3MB / 4.1kB   3\n"
    )

    @pytest.fixture(autouse=True)
    def running(self, engine: CannedEngine) -> None:
        engine.answers |= {
            "GET /containers/web/stats": STATS,
            f"GET /containers/{'ab' * 6}/stats": STATS,
            "GET /containers/json": [{"Id": "ab" * 32}],
            "GET /containers/nobody/stats": NOBODY,
        }

    def test_the_table_is_dockers(self, engine: CannedEngine, lading: Lading) -> None:
        assert lading("stats", "--no-stream", "web").out == self.TABLE
        assert engine.asked[0].target == "/containers/web/stats?stream=0"

    def test_without_names_it_shows_what_runs(self, engine: CannedEngine, lading: Lading) -> None:
        assert lading("stats", "--no-stream").out == self.TABLE
        assert engine.asked[0].target == "/containers/json"

    def test_all_is_what_does_not_run_too(self, engine: CannedEngine, lading: Lading) -> None:
        lading("stats", "--no-stream", "-a")
        assert engine.asked[0].target == "/containers/json?all=1"

    def test_a_stream_ends_with_its_containers(self, engine: CannedEngine, lading: Lading) -> None:
        line = json.dumps(STATS).encode() + b"\n"

        def twice(asked: Asked, connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + line)
            time.sleep(0.3)
            connection.sendall(line)

        engine.answers["GET /containers/web/stats"] = twice
        ended = lading("stats", "web")
        assert (ended.code, ended.out) == (0, self.TABLE)  # no terminal: nothing is drawn over
        assert engine.asked[0].target == "/containers/web/stats?stream=1"

    def test_json_has_dockers_fields(self, lading: Lading) -> None:
        assert json.loads(lading("stats", "--no-stream", "--format", "json", "web").out) == {
            "BlockIO": "12.3MB / 4.1kB",
            "CPUPerc": "40.00%",
            "Container": "web",
            "ID": "ab" * 6,
            "MemPerc": "2.45%",
            "MemUsage": "46.73MiB / 1.863GiB",
            "Name": "web",
            "NetIO": "1.23kB / 568kB",
            "PIDs": "3",
        }

    def test_ids_may_be_whole(self, lading: Lading) -> None:
        out = lading("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "web").out
        assert out == "ab" * 32 + "\n"

    def test_what_does_not_run_uses_nothing(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["GET /containers/web/stats"] = {
            "name": "/web",
            "id": "ab" * 32,
            "pids_stats": {},
            "blkio_stats": {"io_service_bytes_recursive": None},
            "cpu_stats": {"cpu_usage": {"total_usage": 0}},
            "precpu_stats": {"cpu_usage": {"total_usage": 0}},
            "memory_stats": {},
        }
        form = "{{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}"
        out = lading("stats", "--no-stream", "--format", form, "web").out
        assert out == "0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0\n"

    def test_a_container_that_is_not_there_is_an_error(self, lading: Lading) -> None:
        ended = lading("stats", "--no-stream", "web", "nobody")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "lading: No such container: nobody\n"


def test_top_is_a_table_of_wide_columns(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /containers/web/top"] = {
        "Titles": ["UID", "PID", "CMD"],
        "Processes": [["root", "1", "sh -c x"]],
    }
    assert lading("top", "web").out == (
        "UID                 PID                 CMD\n"
        "root                1                   sh -c x\n"
    )
    assert engine.asked[0].target == "/containers/web/top"


def test_what_follows_the_container_is_for_ps(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /containers/web/top"] = {"Titles": ["PID"], "Processes": None}
    assert lading("top", "web", "-o", "pid", "--no-headers").out == "PID\n"
    assert query(engine.asked[0]) == {"ps_args": ["-o pid --no-headers"]}


def test_diff_has_a_letter_for_each_kind(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /containers/web/changes"] = [
        {"Path": "/a", "Kind": 0},
        {"Path": "/b", "Kind": 1},
        {"Path": "/c", "Kind": 2},
    ]
    assert lading("diff", "web").out == "C /a\nA /b\nD /c\n"


def test_no_change_is_no_line(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /containers/web/changes"] = (200, "null")
    assert lading("diff", "web").out == ""


class TestPort:
    @pytest.fixture(autouse=True)
    def published(self, engine: CannedEngine) -> None:
        engine.answers["GET /containers/web/json"] = {
            "NetworkSettings": {
                "Ports": {
                    "443/tcp": None,
                    "80/tcp": [
                        {"HostIp": "0.0.0.0", "HostPort": "8080"},
                        {"HostIp": "::", "HostPort": "8080"},
                    ],
                    "9/udp": [{"HostIp": "0.0.0.0", "HostPort": "9"}],
                }
            }
        }

    def test_every_mapping_is_shown_in_the_order_of_the_numbers(self, lading: Lading) -> None:
        assert lading("port", "web").out == (
            "9/udp -> 0.0.0.0:9\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
        )

    @pytest.mark.parametrize("port", ["80", "80/tcp"])
    def test_one_port_is_shown_by_its_addresses(self, port: str, lading: Lading) -> None:
        assert lading("port", "web", port).out == "0.0.0.0:8080\n[::]:8080\n"

    @pytest.mark.parametrize(
        ("port", "said"),
        [
            ("443", "No public port '443' published for web"),
            ("80/udp", "No public port '80/udp' published for web"),
            ("http", "invalid port (http): strconv.ParseUint"),
        ],
    )
    def test_a_port_that_is_not_published_is_an_error(
        self, port: str, said: str, lading: Lading
    ) -> None:
        ended = lading("port", "web", port)
        assert (ended.code, ended.out) == (1, "")
        assert said in ended.err
