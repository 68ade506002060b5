"""Containers over the wire: their life, their shapes, and Docker's words for what goes wrong."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from engine_daemon import BUSYBOX, Daemon


def test_a_container_lives_and_ends(daemon: Daemon) -> None:
    client = daemon.client
    container = daemon.run("sh", "-c", "sleep 0.2; exit 7", name="story")
    assert client.get(f"/containers/{container}/json").json()["State"]["Status"] == "running"
    assert client.post("/containers/story/start").status == 304
    assert daemon.exit_code("story") == 7
    state = client.get("/containers/story/json").json()["State"]
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == (
        "exited",
        7,
        False,
        0,
    )
    assert state["StartedAt"] < state["FinishedAt"]
    assert client.delete("/containers/story").status == 204
    assert client.get("/containers/story/json").status == 404


def test_stop_sends_the_stop_signal_and_kills_at_last(daemon: Daemon) -> None:
    polite = daemon.run_ready("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    assert daemon.client.post(f"/containers/{polite}/stop").status == 204
    assert daemon.exit_code(polite) == 5
    assert daemon.client.post(f"/containers/{polite}/stop").status == 304
    stubborn = daemon.run_ready("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    began = time.monotonic()
    assert daemon.client.post(f"/containers/{stubborn}/stop", t=1).status == 204
    assert 0.9 < time.monotonic() - began < 8
    assert daemon.exit_code(stubborn) == 137


def test_many_that_wait_for_an_end_hold_up_no_start(daemon: Daemon) -> None:
    stubborn = daemon.run_ready("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    stops = [
        threading.Thread(
            target=daemon.client.post, args=[f"/containers/{stubborn}/stop"], kwargs={"t": 4}
        )
        for _ in range(80)
    ]
    for stop in stops:
        stop.start()
    began = time.monotonic()
    daemon.run("true")
    took = time.monotonic() - began
    for stop in stops:
        stop.join()
    assert took < 3


def test_kill_sends_what_it_is_told(daemon: Daemon) -> None:
    container = daemon.run_ready("trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    assert daemon.client.post(f"/containers/{container}/kill", signal="USR1").status == 204
    assert daemon.exit_code(container) == 9


def test_restart_starts_again(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    before = daemon.client.get(f"/containers/{container}/json").json()["State"]
    assert daemon.client.post(f"/containers/{container}/restart", t=0).status == 204
    after = daemon.client.get(f"/containers/{container}/json").json()["State"]
    assert after["Running"] and after["Pid"] != before["Pid"]


def test_pause_stands_still(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100", name="still")
    client = daemon.client
    assert client.post("/containers/still/pause").status == 204
    state = client.get("/containers/still/json").json()["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    again = client.post("/containers/still/pause")
    assert (again.status, again.message) == (409, f"Container {container} is already paused")
    assert client.post("/containers/still/unpause").status == 204
    assert client.post("/containers/still/unpause").status in (409, 500)


@pytest.mark.parametrize("condition", ["", "not-running", "next-exit", "removed"])
def test_wait_answers_its_head_at_once(daemon: Daemon, condition: str) -> None:
    container = daemon.create("sh", "-c", "sleep 0.3; exit 3", HostConfig={"AutoRemove": True})
    codes: list[Any] = []

    def wait() -> None:
        query = {"condition": condition} if condition else {}
        lines = daemon.client.stream("POST", f"/containers/{container}/wait", **query)
        codes.append(next(lines))

    waiter = threading.Thread(target=wait)
    if condition in ("next-exit", "removed"):
        waiter.start()
        time.sleep(0.2)
        assert daemon.client.post(f"/containers/{container}/start").status == 204
    else:
        assert daemon.client.post(f"/containers/{container}/start").status == 204
        waiter.start()
    waiter.join(20)
    assert codes == [b'{"StatusCode":3}\n']


def test_an_old_client_waits_for_one_answer(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "exit 4")
    old = type(daemon.client)(daemon.client.path, "v1.24")
    answer = old.post(f"/containers/{container}/wait")
    assert answer.headers["content-length"]
    assert answer.json() == {"StatusCode": 4}


def test_rename(daemon: Daemon) -> None:
    daemon.create("true", name="old")
    other = daemon.create("true", name="taken")
    client = daemon.client
    assert client.post("/containers/old/rename", name="new").status == 204
    assert client.get("/containers/new/json").json()["Name"] == "/new"
    taken = client.post("/containers/new/rename", name="taken")
    assert taken.status == 409
    assert f'The container name "/taken" is already in use by container "{other}"' in taken.message
    assert client.post("/containers/new/rename", name="").status == 400
    assert client.post("/containers/new/rename", name="-x").status == 400


def test_remove_minds_what_runs(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    refused = daemon.client.delete(f"/containers/{container}")
    assert refused.status == 409
    assert "cannot remove container" in refused.message
    assert daemon.client.delete(f"/containers/{container}", force=1).status == 204


CREATE_REFUSED: list[tuple[Any, int, str]] = [
    ({"Image": "nope"}, 404, "No such image: nope:latest"),
    ({"Image": "UPPER"}, 400, "repository name must be lowercase"),
    ({}, 400, "config cannot be empty"),
    ({"Image": 5}, 400, "invalid JSON"),
    ([], 400, "invalid JSON"),
    ({"HostConfig": {"Memory": 5}}, 400, "Minimum memory limit allowed is 6MB"),
    ({"HostConfig": {"RestartPolicy": {"Name": "x"}}}, 400, "restart policy"),
    ({"HostConfig": {"CapAdd": ["NOPE"]}}, 400, "capability"),
    ({"HostConfig": {"Binds": ["/x:relative"]}}, 400, "relative"),
    ({"HostConfig": {"PortBindings": {"99999/tcp": []}}}, 400, "invalid port"),
    ({"HostConfig": {"DeviceRequests": [{"Count": -1}]}}, 501, "--gpus"),
    ({"Hostname": "a\nb"}, 400, "invalid hostname"),
    ({"WorkingDir": "relative"}, 400, "absolute path"),
    ({"StopSignal": "NOPE"}, 400, "invalid signal"),
]


@pytest.mark.parametrize(("body", "status", "words"), CREATE_REFUSED)
def test_what_cannot_be_created_is_refused_in_dockers_words(
    daemon: Daemon, body: Any, status: int, words: str
) -> None:
    if isinstance(body, dict) and body and "Image" not in body:
        body = {"Image": BUSYBOX, **body}
    answer = daemon.client.post("/containers/create", content=body)
    assert (answer.status, words in answer.message) == (status, True), answer.message
    assert daemon.client.get("/containers/json", all=1).json() == []


@pytest.mark.parametrize("name", ["-x", "a", "a b", "a/b", "../x", "ä", "x" * 300])
def test_a_bad_name_is_refused(daemon: Daemon, name: str) -> None:
    answer = daemon.client.post("/containers/create", content={"Image": BUSYBOX}, name=name)
    assert answer.status == 400
    assert "Invalid container name" in answer.message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/json"),
        ("GET", "/top"),
        ("GET", "/logs?stdout=1"),
        ("GET", "/changes"),
        ("GET", "/export"),
        ("GET", "/stats?stream=0"),
        ("GET", "/archive?path=/"),
        ("PUT", "/archive?path=/"),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/restart"),
        ("POST", "/kill"),
        ("POST", "/pause"),
        ("POST", "/unpause"),
        ("POST", "/wait"),
        ("POST", "/resize?h=1&w=1"),
        ("POST", "/rename?name=x1"),
        ("POST", "/attach?stream=1"),
        ("DELETE", ""),
    ],
)
def test_what_is_not_there_is_not_found(daemon: Daemon, method: str, path: str) -> None:
    answer = daemon.client.request(method, f"/containers/nope{path}")
    assert (answer.status, answer.message) == (404, "No such container: nope")


def test_a_command_that_is_not_there_says_so(daemon: Daemon) -> None:
    container = daemon.create("/nope")
    answer = daemon.client.post(f"/containers/{container}/start")
    assert answer.status == 400
    assert "no such file or directory" in answer.message
    state = daemon.client.get(f"/containers/{container}/json").json()["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)


def test_inspect_shows_what_was_asked_for(daemon: Daemon) -> None:
    container = daemon.run(
        *("sleep", "100"),
        name="shown",
        Env=["A=1"],
        Labels={"a": "b"},
        Hostname="host1",
        User="0:0",
        ExposedPorts={"90/tcp": {}},
        Volumes={"/anon": {}},
        HostConfig={
            "Binds": ["data:/data:ro"],
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "Memory": 64 * 1024 * 1024,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        },
    )
    shown = daemon.client.get("/containers/shown/json", size=1).json()
    assert shown["Id"] == container
    assert (shown["Path"], shown["Args"]) == ("sleep", ["100"])
    assert shown["Config"]["Hostname"] == "host1"
    assert "A=1" in shown["Config"]["Env"]
    assert shown["Config"]["Labels"]["a"] == "b"
    assert shown["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert shown["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert shown["HostConfig"]["NetworkMode"] == "default"
    mounts = {mount["Destination"]: mount for mount in shown["Mounts"]}
    assert mounts["/data"]["Name"] == "data" and not mounts["/data"]["RW"]
    assert mounts["/data"]["Source"].endswith("/data/_data")
    assert len(mounts["/anon"]["Name"]) == 64 and mounts["/anon"]["RW"]
    network = shown["NetworkSettings"]
    assert network["Networks"]["bridge"]["IPAddress"] == network["IPAddress"] != ""
    assert network["Ports"]["90/tcp"] is None
    [binding] = network["Ports"]["80/tcp"]
    assert binding["HostIp"] == "127.0.0.1" and int(binding["HostPort"]) > 0
    assert shown["GraphDriver"]["Data"]["MergedDir"]
    assert shown["SizeRootFs"] > shown["SizeRw"] >= 0
    daemon.client.post("/containers/shown/kill")
    stopped = daemon.client.get("/containers/shown/json").json()
    assert stopped["NetworkSettings"]["Ports"] == {}
    assert stopped["NetworkSettings"]["IPAddress"] == ""
    assert "bridge" in stopped["NetworkSettings"]["Networks"]


def names(daemon: Daemon, **query: Any) -> list[str]:
    answer = daemon.client.get("/containers/json", **query)
    assert answer.status == 200, answer.body
    return sorted(each["Names"][0].removeprefix("/") for each in answer.json())


def test_the_list_can_be_filtered(daemon: Daemon) -> None:
    daemon.run("sleep", "100", name="up1", Labels={"k": "1"}, ExposedPorts={"80/tcp": {}})
    daemon.run(
        *("sleep", "100"),
        name="up2",
        HostConfig={"NetworkMode": "none", "Binds": ["vol:/v"]},
    )
    ended = daemon.run("sh", "-c", "exit 3", name="ended")
    daemon.exit_code(ended)
    daemon.create("true", name="made", Labels={"k": "2"})
    assert names(daemon) == ["up1", "up2"]
    assert names(daemon, all=1) == ["ended", "made", "up1", "up2"]
    assert names(daemon, limit=2) == ["ended", "made"]
    for filters, expected in (
        ({"name": ["up"]}, ["up1", "up2"]),
        ({"name": ["^/up1$"]}, ["up1"]),
        ({"id": [ended[:12]]}, []),
        ({"label": ["k"]}, ["up1"]),
        ({"label": ["k=2"]}, []),
        ({"status": ["exited"]}, ["ended"]),
        ({"status": ["created", "exited"]}, ["ended", "made"]),
        ({"exited": ["3"]}, ["ended"]),
        ({"exited": ["0"]}, []),
        ({"network": ["none"]}, ["up2"]),
        ({"network": ["bridge"]}, ["up1"]),
        ({"volume": ["vol"]}, ["up2"]),
        ({"volume": ["/v"]}, ["up2"]),
        ({"expose": ["80"]}, ["up1"]),
        ({"expose": ["1-100/tcp"]}, ["up1"]),
        ({"publish": ["80"]}, []),
        ({"ancestor": ["busybox"]}, ["up1", "up2"]),
        ({"ancestor": ["nope"]}, []),
        ({"before": ["up2"]}, ["up1"]),
        ({"since": ["ended"]}, ["made"]),
        ({"health": ["none"]}, ["up1", "up2"]),
        ({"is-task": ["true"]}, []),
    ):
        assert names(daemon, filters=filters) == expected, filters


@pytest.mark.parametrize(
    ("filters", "status", "words"),
    [
        ({"foo": ["x"]}, 400, "invalid filter 'foo'"),
        ({"status": ["x"]}, 400, "invalid filter 'status=x'"),
        ({"exited": ["x"]}, 400, "invalid syntax"),
        ({"health": ["x"]}, 400, "Unrecognised filter value for health: x"),
        ({"before": ["x"]}, 404, "No such container: x"),
        ({"publish": ["x"]}, 400, "invalid port range"),
        ({"is-task": ["x"]}, 400, "invalid filter 'is-task=[x]'"),
    ],
)
def test_a_bad_filter_is_refused(
    daemon: Daemon, filters: dict[str, list[str]], status: int, words: str
) -> None:
    answer = daemon.client.get("/containers/json", filters=filters)
    assert (answer.status, words in answer.message) == (status, True), answer.message


def test_a_summary_is_dockers(daemon: Daemon) -> None:
    daemon.run(
        *("sh", "-c", "sleep 100"),
        name="sum",
        HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "0"}]}},
    )
    [shown] = daemon.client.get("/containers/json", size=1).json()
    assert shown["Command"] == "sh -c 'sleep 100'"
    assert shown["Image"] == BUSYBOX
    assert shown["ImageID"].startswith("sha256:")
    assert shown["State"] == "running"
    assert shown["Status"].startswith("Up ")
    assert shown["SizeRootFs"] > 0
    assert shown["HostConfig"] == {"NetworkMode": "default"}
    assert list(shown["NetworkSettings"]["Networks"]) == ["bridge"]
    [port] = shown["Ports"]
    assert (port["IP"], port["PrivatePort"], port["Type"]) == ("0.0.0.0", 80, "tcp")


def test_top_lists_processes(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    shown = daemon.client.get(f"/containers/{container}/top").json()
    assert shown["Titles"][:3] == ["UID", "PID", "PPID"]
    assert [row[-1] for row in shown["Processes"]] == ["sleep 100"]
    shown = daemon.client.get(f"/containers/{container}/top", ps_args="aux").json()
    assert shown["Titles"][0] == "USER"


def test_update_changes_limits(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    answer = daemon.client.post(
        f"/containers/{container}/update",
        content={"Memory": 32 * 1024 * 1024, "MemorySwap": -1, "RestartPolicy": {"Name": "always"}},
    )
    assert answer.status == 200, answer.body
    host = daemon.client.get(f"/containers/{container}/json").json()["HostConfig"]
    assert host["Memory"] == 32 * 1024 * 1024
    assert host["RestartPolicy"]["Name"] == "always"
    refused = daemon.client.post(f"/containers/{container}/update", content={"Memory": 1})
    assert refused.status == 400


def test_stats_come_once_or_as_a_stream(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "while :; do :; done", name="busy")
    once = daemon.client.get("/containers/busy/stats", stream=0, **{"one-shot": 1}).json()
    assert once["id"] == container and once["name"] == "/busy"
    assert once["memory_stats"]["usage"] > 0
    assert once["pids_stats"]["current"] == 1
    assert "eth0" in once["networks"]
    stream = daemon.client.stream("GET", "/containers/busy/stats")
    first, second = json.loads(next(stream)), json.loads(next(stream))
    assert first["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    used = second["cpu_stats"]["cpu_usage"]["total_usage"]
    assert used > second["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    daemon.client.post("/containers/busy/kill")
    ended = daemon.client.get("/containers/busy/stats", stream=0).json()
    assert ended["memory_stats"] == {}


def test_prune_takes_stopped_containers(daemon: Daemon) -> None:
    daemon.run("sleep", "100", name="stays")
    gone = daemon.run("true", name="goes", Labels={"x": "1"})
    kept = daemon.run("true", name="kept", Labels={"keep": ""})
    daemon.exit_code(gone)
    daemon.exit_code(kept)
    answer = daemon.client.post("/containers/prune", filters={"label!": ["keep"]}).json()
    assert answer["ContainersDeleted"] == [gone]
    assert names(daemon, all=1) == ["kept", "stays"]
    assert daemon.client.post("/containers/prune", filters={"until": ["x"]}).status == 400


def test_an_emptied_volume_is_filled_by_a_new_container_only(daemon: Daemon) -> None:
    binds = {"Binds": ["programs:/bin"]}
    first = daemon.run("sh", "-c", "rm -r /bin/*", HostConfig=binds)
    assert daemon.exit_code(first) == 0
    again = daemon.client.post(f"/containers/{first}/start")
    assert "executable file not found" in again.message
    other = daemon.run("test", "-e", "/bin/sh", HostConfig=binds)
    assert daemon.exit_code(other) == 0
