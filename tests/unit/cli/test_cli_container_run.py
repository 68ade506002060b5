"""Create, run, start, attach, exec and ps: requests in order, streams, and exit codes."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine, Handler
from command_line import Lading

StdinFrom = Callable[[Path], None]
ID = "ab" * 32
SWITCHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(asked.target.partition("?")[2])


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def talking(*pieces: bytes) -> Handler:
    """A connection taken over, on which these pieces come."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(SWITCHED + b"".join(pieces))

    return answer


def asked_for(engine: CannedEngine) -> list[str]:
    return [f"{a.method} {a.path.replace(ID, 'ID')}" for a in engine.asked]


@pytest.fixture
def box(engine: CannedEngine) -> CannedEngine:
    """A container that says something, and ends with 3."""
    engine.answers |= {
        "POST /containers/create": (201, {"Id": ID, "Warnings": ["no swap limit"]}),
        f"POST /containers/{ID}/attach": talking(frame(1, b"out\n"), frame(2, b"err\n")),
        f"POST /containers/{ID}/wait": {"StatusCode": 3},
        f"POST /containers/{ID}/start": (204, ""),
    }
    return engine


class TestRun:
    def test_a_container_in_front_ends_the_command_as_it_ends(
        self, box: CannedEngine, lading: Lading
    ) -> None:
        ended = lading("run", "busybox", "sh")
        assert (ended.code, ended.out) == (3, "out\n")
        assert ended.err == "WARNING: no swap limit\nerr\n"

    def test_nothing_is_missed_for_it_starts_last(self, box: CannedEngine, lading: Lading) -> None:
        lading("run", "busybox")
        assert asked_for(box) == [
            "POST /containers/create",
            "POST /containers/ID/attach",
            "POST /containers/ID/wait",
            "POST /containers/ID/start",
        ]
        assert query(box.asked[2]) == {"condition": ["next-exit"]}

    def test_with_rm_it_waits_until_all_is_gone(self, box: CannedEngine, lading: Lading) -> None:
        lading("run", "--rm", "busybox")
        assert query(box.asked[2]) == {"condition": ["removed"]}
        assert json.loads(box.asked[0].body)["HostConfig"]["AutoRemove"] is True

    def test_detached_it_prints_the_id_and_goes_on(self, box: CannedEngine, lading: Lading) -> None:
        ended = lading("run", "-d", "--name", "web", "busybox")
        assert (ended.code, ended.out) == (0, ID + "\n")
        assert asked_for(box) == ["POST /containers/create", "POST /containers/ID/start"]
        assert query(box.asked[0]) == {"name": ["web"]}
        assert "AttachStdout" not in json.loads(box.asked[0].body)

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ('exec: "nope": executable file not found in $PATH', 127),
            ("exec: /nope: no such file or directory", 127),
            ("exec: /etc: permission denied", 126),
            ("port is already allocated", 125),
        ],
    )
    @pytest.mark.parametrize("flags", [[], ["-d"], ["--rm"]])
    def test_a_start_that_fails_has_dockers_code(
        self, message: str, code: int, flags: list[str], box: CannedEngine, lading: Lading
    ) -> None:
        box.answers[f"POST /containers/{ID}/start"] = (400, {"message": message})
        ended = lading("run", *flags, "busybox")
        assert (ended.code, ended.out) == (code, "")
        assert ended.err.endswith(f"lading: {message}\n")

    def test_an_image_that_is_not_here_is_pulled_and_the_refusal_is_dockers_125(
        self, box: CannedEngine, lading: Lading
    ) -> None:
        box.answers["POST /containers/create"] = (404, {"message": "No such image: nope:latest"})
        box.answers["POST /images/create"] = (404, {"message": "pull access denied for nope"})
        ended = lading("run", "nope")
        assert ended.code == 125
        assert ended.err == (
            "Unable to find image 'nope:latest' locally\nlading: pull access denied for nope\n"
        )

    def test_an_image_is_not_pulled_where_that_is_not_wanted(
        self, box: CannedEngine, lading: Lading
    ) -> None:
        box.answers["POST /containers/create"] = (404, {"message": "No such image: nope:latest"})
        ended = lading("run", "--pull", "never", "nope")
        assert (ended.code, ended.err) == (125, "lading: No such image: nope:latest\n")

    def test_no_daemon_is_dockers_125(self, engine: CannedEngine, lading: Lading) -> None:
        engine.socket_path.rename(engine.socket_path.with_name("aside"))
        assert lading("run", "busybox").code == 125

    def test_what_is_typed_reaches_the_container_and_its_end_too(
        self, box: CannedEngine, lading: Lading, tmp_path: Path, stdin_from: StdinFrom
    ) -> None:
        heard: list[bytes] = []

        def cat(asked: Asked, connection: socket.socket) -> None:
            connection.sendall(SWITCHED)
            while piece := connection.recv(4096):
                heard.append(piece)
            connection.sendall(frame(1, b"".join(heard)))

        box.answers[f"POST /containers/{ID}/attach"] = cat
        (tmp_path / "typed").write_bytes(b"hello" * 1000)
        stdin_from(tmp_path / "typed")
        assert lading("run", "-i", "busybox", "cat").out == "hello" * 1000

    def test_a_terminal_is_needed_to_be_one(self, box: CannedEngine, lading: Lading,
                                            stdin_from: StdinFrom) -> None:  # fmt: skip
        stdin_from(Path("/dev/null"))
        ended = lading("run", "-it", "busybox")
        assert (ended.code, ended.err) == (1, "lading: the input device is not a TTY\n")
        assert not box.asked

    @pytest.mark.parametrize("flags", [["-d", "-a", "stdout"], ["--restart=always", "--rm"]])
    def test_contradictions_ask_nothing(
        self, flags: list[str], box: CannedEngine, lading: Lading
    ) -> None:
        ended = lading("run", *flags, "busybox")
        assert ended.code == 125 and "conflicting options" in ended.err
        assert not box.asked

    def test_the_cid_file_holds_the_id(
        self, box: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        assert lading("create", "--cidfile", f"{tmp_path}/cid", "busybox").out == ID + "\n"
        assert (tmp_path / "cid").read_text() == ID
        again = lading("create", "--cidfile", f"{tmp_path}/cid", "busybox")
        assert again.code == 1 and "container ID file found" in again.err
        assert lading("run", "--cidfile", f"{tmp_path}/cid", "busybox").code == 125

    def test_a_failed_create_leaves_no_cid_file(
        self, box: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        box.answers["POST /containers/create"] = (409, {"message": "name in use"})
        assert lading("create", "--cidfile", f"{tmp_path}/cid", "busybox").code == 1
        assert not (tmp_path / "cid").exists()


@pytest.fixture
def stdin_from() -> Iterator[StdinFrom]:
    """Call it with a path: until the test's end that is the standard input."""
    kept = os.dup(0)

    def take(path: Path) -> None:
        opened = os.open(path, os.O_RDONLY)
        os.dup2(opened, 0)
        os.close(opened)

    yield take
    os.dup2(kept, 0)
    os.close(kept)


class TestStart:
    def test_each_is_started_and_named(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["POST /containers/one/start"] = (204, "")
        engine.answers["POST /containers/two/start"] = (304, "")
        assert lading("start", "one", "two").out == "one\ntwo\n"

    def test_one_that_fails_makes_it_1(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["POST /containers/one/start"] = (404, {"message": "No such container: one"})
        engine.answers["POST /containers/two/start"] = (204, "")
        ended = lading("start", "one", "two")
        assert (ended.code, ended.out) == (1, "two\n")
        assert "No such container: one" in ended.err
        assert "failed to start containers: one" in ended.err

    def test_attached_it_ends_as_the_container_ends(
        self, box: CannedEngine, lading: Lading
    ) -> None:
        box.answers["GET /containers/web/json"] = {
            "Id": ID,
            "Config": {"OpenStdin": False, "Tty": False},
            "HostConfig": {},
        }
        ended = lading("start", "-a", "web")
        assert (ended.code, ended.out) == (3, "out\n")

    def test_only_one_can_be_attached(self, engine: CannedEngine, lading: Lading) -> None:
        assert lading("start", "-a", "one", "two").code == 1
        assert not engine.asked


class TestAttach:
    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ({"Running": False}, "cannot attach to a stopped container, start it first"),
            ({"Running": True, "Paused": True}, "cannot attach to a paused container"),
            ({"Running": True, "Restarting": True}, "cannot attach to a restarting container"),
        ],
    )
    def test_it_takes_a_container_that_runs(
        self, state: dict[str, bool], said: str, engine: CannedEngine, lading: Lading
    ) -> None:
        engine.answers["GET /containers/web/json"] = {"Id": ID, "State": state}
        ended = lading("attach", "web")
        assert ended.code == 1 and said in ended.err

    def test_it_ends_as_the_container_ends(self, box: CannedEngine, lading: Lading) -> None:
        box.answers["GET /containers/web/json"] = {
            "Id": ID,
            "State": {"Running": True},
            "Config": {"OpenStdin": False, "Tty": False},
        }
        ended = lading("attach", "--no-stdin", "web")
        assert (ended.code, ended.out, ended.err) == (3, "out\n", "err\n")


class TestExec:
    @pytest.fixture
    def running(self, engine: CannedEngine) -> CannedEngine:
        engine.answers |= {
            "POST /containers/web/exec": (201, {"Id": "e1"}),
            "POST /exec/e1/start": talking(frame(1, b"out\n"), frame(2, b"err\n")),
            "GET /exec/e1/json": {"Running": False, "ExitCode": 5},
        }
        return engine

    def test_its_exit_code_is_the_commands(self, running: CannedEngine, lading: Lading) -> None:
        ended = lading("exec", "web", "sh", "-c", "exit 5")
        assert (ended.code, ended.out, ended.err) == (5, "out\n", "err\n")

    def test_flags_become_the_request(self, running: CannedEngine, lading: Lading) -> None:
        lading("exec", "-e", "A=b", "-u", "1:2", "-w", "/w", "--privileged", "web", "id", "-u")
        body = json.loads(running.asked[0].body)
        assert body["Cmd"] == ["id", "-u"]
        assert (body["Env"], body["User"], body["WorkingDir"]) == (["A=b"], "1:2", "/w")
        assert body["Privileged"] is True and body["AttachStdin"] is False

    def test_the_code_may_come_after_the_output(
        self, running: CannedEngine, lading: Lading
    ) -> None:
        states = [{"Running": True, "ExitCode": None}, {"Running": False, "ExitCode": 7}]
        lock = threading.Lock()

        def state(asked: Asked, connection: socket.socket) -> None:
            with lock:
                raw = json.dumps(states.pop(0)).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)

        running.answers["GET /exec/e1/json"] = state
        assert lading("exec", "web", "true").code == 7

    def test_detached_it_says_nothing(self, running: CannedEngine, lading: Lading) -> None:
        running.answers["POST /exec/e1/start"] = (200, "")
        ended = lading("exec", "-d", "web", "sleep", "9")
        assert (ended.code, ended.out) == (0, "")
        assert json.loads(running.asked[1].body) == {"Detach": True, "Tty": False}

    @pytest.mark.parametrize(
        ("message", "code"),
        [('"x": executable file not found in $PATH', 127), ("permission denied", 126),
         ("container is paused", 1)],
    )  # fmt: skip
    def test_a_program_that_cannot_run_has_dockers_code(
        self, message: str, code: int, running: CannedEngine, lading: Lading
    ) -> None:
        running.answers["POST /exec/e1/start"] = (400, {"message": message})
        ended = lading("exec", "web", "x")
        assert (ended.code, ended.err) == (code, f"lading: {message}\n")


CONTAINER = {
    "Id": ID,
    "Names": ["/web", "/other/alias"],
    "Image": "busybox",
    "ImageID": "sha256:" + "e" * 64,
    "Command": 'sh -c "while true; do date; done"',
    "Created": 0,
    "Ports": [
        {"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
        {"PrivatePort": 80, "PublicPort": 8080, "IP": "::", "Type": "tcp"},
        {"PrivatePort": 9000, "Type": "tcp"},
        {"PrivatePort": 9001, "Type": "tcp"},
    ],
    "Labels": {"b": "2", "a": "1"},
    "State": "running",
    "Status": "Up 2 hours (healthy)",
    "SizeRw": 1000,
    "SizeRootFs": 2_000_000,
    "Mounts": [{"Name": "a-very-long-volume-name", "Driver": "local"}, {"Source": "/x"}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
}


class TestPs:
    @pytest.fixture(autouse=True)
    def listing(self, engine: CannedEngine) -> None:
        engine.answers["GET /containers/json"] = [CONTAINER]

    def test_the_table_is_dockers(self, lading: Lading) -> None:
        head, row = lading("ps").out.splitlines()
        assert head.split("  ")[0] == "CONTAINER ID"
        assert row.startswith('abababababab   busybox   "sh -c \\"while true; …"')
        assert "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp" in row
        assert "9000-9001/tcp" in row and row.endswith("   web")

    @pytest.mark.parametrize(
        ("form", "shown"),
        [
            ("{{.ID}} {{.Names}} {{.State}} {{.Status}}", "abababababab web running"
             " Up 2 hours (healthy)"),
            ("{{.Labels}} {{.Label \"a\"}} [{{.Label \"no\"}}]", "a=1,b=2 1 []"),
            ("{{.Mounts}} {{.LocalVolumes}} {{.Networks}}", "a-very-long-vo…,/x 1 bridge"),
            ("{{.Size}}", "1kB (virtual 2MB)"),
            ("{{.HealthStatus}}", "healthy"),
        ],
    )  # fmt: skip
    def test_templates_know_dockers_fields(self, form: str, shown: str, lading: Lading) -> None:
        assert lading("ps", "--format", form).out == shown + "\n"

    def test_nothing_is_cut_when_asked(self, lading: Lading) -> None:
        form = "{{.ID}} {{.Names}} {{.Command}} {{.Mounts}}"
        assert lading("ps", "--no-trunc", "--format", form).out == (
            f"{ID} web,other/alias "
            '"sh -c \\"while true; do date; done\\"" a-very-long-volume-name,/x\n'
        )

    @pytest.mark.parametrize(
        ("words", "asked"),
        [
            ([], {}),
            (["-a"], {"all": ["1"]}),
            (["-l"], {"all": ["1"], "limit": ["1"]}),
            (["-n", "5"], {"all": ["1"], "limit": ["5"]}),
            (["-s"], {"size": ["1"]}),
            (["-sq"], {}),
            (["--format", "{{.Size}}"], {"size": ["1"]}),
            (["-f", "status=exited", "-f", "status=created"],
             {"filters": ['{"status":["exited","created"]}']}),
        ],
    )  # fmt: skip
    def test_flags_become_the_query(
        self, words: list[str], asked: dict[str, list[str]], engine: CannedEngine, lading: Lading
    ) -> None:
        lading("ps", *words)
        assert query(engine.asked[0]) == asked

    def test_quiet_is_ids_alone(self, lading: Lading) -> None:
        assert lading("container", "ls", "-q").out == "abababababab\n"

    def test_a_field_that_is_not_there_is_told(self, lading: Lading) -> None:
        ended = lading("ps", "--format", "{{.Nope}}")
        assert ended.code == 1
        assert "can't evaluate field Nope in type *formatter.ContainerContext" in ended.err
