"""Attach, exec and logs: every byte, in order, to whoever is entitled to it, and an end."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from typing import Any

import pytest

from engine_client import Hijacked, Output
from engine_daemon import Daemon


def attached(daemon: Daemon, container: str, **query: Any) -> Hijacked:
    query = {"stream": 1, "stdout": 1, "stderr": 1, **query}
    upgrade = query.pop("upgrade", True)
    return daemon.client.hijack(f"/containers/{container}/attach", upgrade=upgrade, **query)


@pytest.mark.parametrize("upgrade", [True, False])
def test_attached_before_the_start_nothing_is_lost(daemon: Daemon, upgrade: bool) -> None:
    container = daemon.create("sh", "-c", "echo out; echo err >&2; exit 2")
    stream = attached(daemon, container, upgrade=upgrade)
    if upgrade:
        assert stream.head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert b"application/vnd.docker.multiplexed-stream" in stream.head
    else:
        assert stream.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert daemon.client.post(f"/containers/{container}/start").status == 204
    assert Output.of(stream.read()) == Output(b"out\n", b"err\n")
    assert daemon.exit_code(container) == 2


def test_much_output_arrives_whole(daemon: Daemon) -> None:
    container = daemon.create("sh", "-c", "seq 1 300000")
    stream = attached(daemon, container)
    daemon.client.post(f"/containers/{container}/start")
    expected = b"".join(b"%d\n" % n for n in range(1, 300_001))
    assert Output.of(stream.read()).stdout == expected


def test_input_goes_in_and_its_end_too(daemon: Daemon) -> None:
    container = daemon.create(
        "sha256sum", OpenStdin=True, StdinOnce=True, AttachStdin=True, AttachStdout=True
    )
    stream = attached(daemon, container, stdin=1)
    daemon.client.post(f"/containers/{container}/start")
    content = bytes(range(256)) * 8000
    stream.send(content)
    stream.end_input()
    digest = hashlib.sha256(content).hexdigest().encode()
    assert Output.of(stream.read()).stdout == digest + b"  -\n"
    assert daemon.exit_code(container) == 0


def test_a_terminal_is_raw_and_can_be_left(daemon: Daemon) -> None:
    container = daemon.create("sh", Tty=True, OpenStdin=True)
    stream = attached(daemon, container, stdin=1)
    assert b"application/vnd.docker.raw-stream" in stream.head
    daemon.client.post(f"/containers/{container}/start")
    assert daemon.client.post(f"/containers/{container}/resize", h=33, w=77).status == 200
    stream.send(b"stty size\n")
    assert b"33 77\r\n" in stream.read_until(b"33 77\r\n")
    stream.send(b"\x10\x11")
    stream.read()
    assert daemon.client.get(f"/containers/{container}/json").json()["State"]["Running"]
    again = attached(daemon, container, stdin=1)
    again.send(b"exit 6\n")
    again.read()
    assert daemon.exit_code(container) == 6


def test_other_detach_keys_can_be_chosen(daemon: Daemon) -> None:
    container = daemon.run("cat", Tty=True, OpenStdin=True)
    stream = attached(daemon, container, stdin=1, detachKeys="ctrl-a,x")
    stream.send(b"\x01x")
    stream.read()
    assert daemon.client.get(f"/containers/{container}/json").json()["State"]["Running"]
    refused = daemon.client.post(f"/containers/{container}/attach", detachKeys="foo", stream=1)
    assert refused.status == 400


def test_the_log_comes_before_what_follows_without_a_gap(daemon: Daemon) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"
    container = daemon.run("sh", "-c", script)
    stream = attached(daemon, container, logs=1)
    lines = Output.of(stream.read()).stdout.splitlines()
    assert lines == [b"line %d" % n for n in range(2000)]


def test_attach_to_a_paused_container_is_refused(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    daemon.client.post(f"/containers/{container}/pause")
    answer = daemon.client.post(f"/containers/{container}/attach", stream=1)
    assert answer.status == 409
    assert "is paused, unpause the container before attach" in answer.message


def make_exec(daemon: Daemon, container: str, *command: str, **config: Any) -> str:
    asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **config}
    answer = daemon.client.post(f"/containers/{container}/exec", content=asked)
    assert answer.status == 201, answer.body
    return str(answer.json()["Id"])


def shown(daemon: Daemon, exec_id: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.client.get(f"/exec/{exec_id}/json").json()
    return found


@pytest.mark.parametrize("upgrade", [True, False])
def test_an_exec_runs_and_its_code_is_known_when_its_stream_ends(
    daemon: Daemon, upgrade: bool
) -> None:
    container = daemon.run("sleep", "100")
    for code in range(5):
        script = f"echo $A out; echo err >&2; exit {code}"
        exec_id = make_exec(daemon, container, "sh", "-c", script, Env=["A=1"])
        assert shown(daemon, exec_id)["Running"] is False
        assert shown(daemon, exec_id)["ExitCode"] is None
        stream = daemon.client.hijack(f"/exec/{exec_id}/start", content={}, upgrade=upgrade)
        assert Output.of(stream.read()) == Output(b"1 out\n", b"err\n")
        found = shown(daemon, exec_id)
        assert (found["Running"], found["ExitCode"]) == (False, code)
        assert found["ProcessConfig"]["entrypoint"] == "sh"
        assert found["ContainerID"] == container


def test_an_exec_takes_input(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    exec_id = make_exec(daemon, container, "wc", "-c", AttachStdin=True)
    stream = daemon.client.hijack(f"/exec/{exec_id}/start", content={"Detach": False})
    stream.send(b"x" * 1_000_000)
    stream.end_input()
    assert Output.of(stream.read()).stdout == b"1000000\n"


def test_an_exec_has_a_terminal_of_its_size(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    exec_id = make_exec(daemon, container, "sh", Tty=True, AttachStdin=True)
    stream = daemon.client.hijack(
        f"/exec/{exec_id}/start", content={"Tty": True, "ConsoleSize": [20, 60]}
    )
    stream.send(b"stty size\n")
    stream.read_until(b"20 60\r\n")
    assert daemon.client.post(f"/exec/{exec_id}/resize", h=21, w=61).status == 200
    stream.send(b"stty size\n")
    stream.read_until(b"21 61\r\n")
    assert daemon.client.get(f"/containers/{container}/json").json()["ExecIDs"] == [exec_id]
    stream.send(b"exit 3\n")
    stream.read()
    assert shown(daemon, exec_id)["ExitCode"] == 3
    assert daemon.client.get(f"/containers/{container}/json").json()["ExecIDs"] is None


def test_a_detached_exec_runs_alone(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    exec_id = make_exec(daemon, container, "sh", "-c", "sleep 0.2; exit 4")
    answer = daemon.client.post(f"/exec/{exec_id}/start", content={"Detach": True})
    assert (answer.status, answer.body) == (200, b"")
    assert shown(daemon, exec_id)["Running"]
    for _ in range(100):
        if shown(daemon, exec_id)["ExitCode"] is not None:
            break
        time.sleep(0.05)
    assert shown(daemon, exec_id)["ExitCode"] == 4
    again = daemon.client.post(f"/exec/{exec_id}/start", content={"Detach": True})
    assert again.status == 409
    assert "has already run" in again.message


def test_an_exec_that_cannot_start_says_why(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    exec_id = make_exec(daemon, container, "nope")
    stream = daemon.client.hijack(f"/exec/{exec_id}/start", content={})
    assert b"executable file not found in $PATH" in stream.read()
    assert shown(daemon, exec_id)["ExitCode"] in (126, 127)


def test_bad_execs_are_refused(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    client = daemon.client
    empty = client.post(f"/containers/{container}/exec", content={"Cmd": []})
    assert (empty.status, empty.message) == (400, "No exec command specified")
    assert client.post("/containers/nope/exec", content={"Cmd": ["x"]}).status == 404
    missing = client.post("/exec/nope/start", content={})
    assert (missing.status, missing.message) == (404, "No such exec instance: nope")
    assert client.get("/exec/nope/json").status == 404
    client.post(f"/containers/{container}/kill")
    stopped = client.post(f"/containers/{container}/exec", content={"Cmd": ["x"]})
    assert (stopped.status, stopped.message) == (409, f"Container {container} is not running")


def test_logs_tell_streams_times_and_tails(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    daemon.exit_code(container)
    path = f"/containers/{container}/logs"
    client = daemon.client
    both = client.get(path, stdout=1, stderr=1)
    assert both.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert Output.of(both.body) == Output(b"one\nthree\n", b"two\n")
    assert Output.of(client.get(path, stderr=1).body) == Output(b"", b"two\n")
    assert Output.of(client.get(path, stdout=1, stderr=1, tail=1).body) == Output(b"three\n", b"")
    assert Output.of(client.get(path, stdout=1, stderr=1, tail=0).body) == Output(b"", b"")
    assert Output.of(client.get(path, stdout=1, tail="all").body).stdout == b"one\nthree\n"
    timed = Output.of(client.get(path, stdout=1, timestamps=1).body).stdout.splitlines()
    assert len(timed) == 2 and timed[0][10:11] == b"T" and timed[0].endswith(b"Z one")
    future = Output.of(client.get(path, stdout=1, since=int(time.time()) + 100).body)
    assert future.stdout == b""
    assert Output.of(client.get(path, stdout=1, until=1).body).stdout == b""
    assert client.get(path).status == 400
    assert client.get(path, stdout=1, since="abc").status == 400


def test_an_old_client_gets_the_old_type(daemon: Daemon) -> None:
    container = daemon.run("echo", "x")
    daemon.exit_code(container)
    old = type(daemon.client)(daemon.client.path, "v1.40")
    answer = old.get(f"/containers/{container}/logs", stdout=1)
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"


def test_following_ends_with_the_container(daemon: Daemon) -> None:
    script = "i=0; while [ $i -lt 20 ]; do echo $i; sleep 0.02; i=$((i+1)); done"
    container = daemon.run("sh", "-c", script)
    answer = daemon.client.get(f"/containers/{container}/logs", stdout=1, follow=1)
    assert Output.of(answer.body).stdout == b"".join(b"%d\n" % n for n in range(20))


def test_following_ends_at_until(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "while :; do echo x; sleep 0.05; done")
    began = time.monotonic()
    daemon.client.get(
        f"/containers/{container}/logs", stdout=1, follow=1, until=f"{time.time() + 1:.3f}"
    )
    assert time.monotonic() - began < 5


def test_following_survives_rotation(own_daemon_with_small_logs: Daemon) -> None:
    daemon = own_daemon_with_small_logs
    script = "i=0; while [ $i -lt 6000 ]; do echo line $i $PADDING; i=$((i+1)); done; sleep 4"
    container = daemon.run("sh", "-c", script, Env=["PADDING=" + "x" * 200])
    answer = daemon.client.get(f"/containers/{container}/logs", stdout=1, follow=1)
    seen = [int(line.split()[1]) for line in Output.of(answer.body).stdout.splitlines()]
    assert seen == list(range(6000))


@pytest.fixture
def own_daemon_with_small_logs(make_daemon: Any) -> Daemon:
    daemon: Daemon = make_daemon()
    return daemon


def test_many_streams_hold_no_thread(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    before = threads(daemon)
    streams = [attached(daemon, container) for _ in range(100)]
    followers = [follow(daemon, container) for _ in range(100)]
    waiters = [daemon.client.hijack(f"/containers/{container}/wait") for _ in range(100)]
    listeners = [hear(daemon) for _ in range(100)]
    assert threads(daemon) <= max(before, 30)
    assert daemon.client.get("/_ping").status == 200
    for each in (*streams, *followers, *waiters, *listeners):
        each.close()
    deadline = time.monotonic() + 10
    while descriptors(daemon) > 100 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descriptors(daemon) < 100


def follow(daemon: Daemon, container: str) -> Hijacked:
    return raw(daemon, f"GET /containers/{container}/logs?follow=1&stdout=1 HTTP/1.1")


def hear(daemon: Daemon) -> Hijacked:
    return raw(daemon, "GET /events HTTP/1.1")


def raw(daemon: Daemon, line: str) -> Hijacked:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(daemon.client.path)
    connection.sendall(f"{line}\r\nHost: d\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    return Hijacked(connection, head, b"")


def threads(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/task"))


def descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def test_a_client_that_does_not_read_does_not_fill_memory(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    exec_id = make_exec(daemon, container, "yes")
    stream = daemon.client.hijack(f"/exec/{exec_id}/start", content={})
    time.sleep(1.5)
    assert resident(daemon) < 300 * 1024 * 1024
    stream.close()
    assert daemon.client.get("/_ping").status == 200


def resident(daemon: Daemon) -> int:
    with open(f"/proc/{daemon.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_events_come_as_they_happen(daemon: Daemon) -> None:
    seen: list[Any] = []
    ready = threading.Event()

    def listen() -> None:
        stream = daemon.client.stream(
            "GET", "/events", filters={"type": ["container"]}, until=f"{time.time() + 4:.3f}"
        )
        ready.set()
        seen.extend(json.loads(line) for line in stream)

    listener = threading.Thread(target=listen)
    listener.start()
    ready.wait(5)
    time.sleep(0.2)
    container = daemon.run("sh", "-c", "exit 3", name="heard")
    daemon.exit_code(container)
    daemon.client.delete(f"/containers/{container}")
    listener.join(20)
    mine = [event for event in seen if event["Actor"]["ID"] == container]
    assert [event["Action"] for event in mine] == ["create", "start", "die", "destroy"]
    assert mine[2]["Actor"]["Attributes"]["exitCode"] == "3"
    assert mine[2]["Actor"]["Attributes"]["name"] == "heard"
    assert mine[2]["from"] == mine[2]["Actor"]["Attributes"]["image"] == "busybox:latest"


def test_past_events_are_told_again(daemon: Daemon) -> None:
    began = f"{time.time():.9f}"
    container = daemon.create("true")
    daemon.client.delete(f"/containers/{container}")
    lines = daemon.client.get("/events", since=began, until=f"{time.time():.9f}").lines()
    assert [e["Action"] for e in lines if e["Actor"]["ID"] == container] == ["create", "destroy"]
    wrong = daemon.client.get("/events", since="10", until="5")
    assert wrong.status == 400
    assert daemon.client.get("/events", since="abc").status == 400
    assert daemon.client.get("/events", filters="abc").status == 400
