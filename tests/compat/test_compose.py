"""docker compose: three services brought up, looked at, scaled, changed and taken down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon

Compose = Callable[..., str]

PROJECT = """
version: "2.4"
services:
  db:
    image: busybox
    command: sh -c "sleep 0.4; touch /ready; exec sleep 1000"
    stop_signal: SIGKILL
    volumes: ["kept:/data"]
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 0.1s, retries: 50}
    networks: {back: {aliases: [database]}}
  app:
    image: busybox
    command: sh -c "ping -c1 -w5 database >/dev/null && echo sees it; exec sleep 1000"
    stop_signal: SIGKILL
    environment: {GREETING: "hello"}
    depends_on: {db: {condition: service_healthy}}
    networks: [back, front]
    mem_limit: 64m
  web:
    image: busybox
    command: sh -c "hostname > /index.html; exec httpd -f -p 8080 -h /"
    stop_signal: SIGKILL
    depends_on: [app]
    ports: ["127.0.0.1::8080"]
    networks: [front]
  extra:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    profiles: [more]
networks:
  front: {}
  back: {internal: true}
volumes:
  kept: {}
"""
SICK = """
version: "2.4"
services:
  sick:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: ["CMD", "false"], interval: 0.1s, retries: 1}
  waits:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {sick: {condition: service_healthy}}
"""


def programs() -> list[tuple[str, ...]]:
    """Every compose on this machine: the old one in Python, and the plugin of docker."""
    found: list[tuple[str, ...]] = [("docker-compose",)] if shutil.which("docker-compose") else []
    plugin = ["docker", "compose", "version"]
    if shutil.which("docker") and not subprocess.run(plugin, capture_output=True).returncode:
        found.append(("docker", "compose"))
    return found


@pytest.fixture(params=programs() or [None], ids=str)
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    if request.param is None:
        pytest.skip("no docker compose is installed")
    words: tuple[str, ...] = request.param
    return words


@pytest.fixture
def compose(program: tuple[str, ...], daemon: Daemon, tmp_path: Path) -> Iterator[Compose]:
    """Run ``compose up -d`` and the like on the project; fails when it fails."""
    (tmp_path / "project").mkdir()
    file = tmp_path / "project" / "docker-compose.yml"
    file.write_text(PROJECT)
    environment = {
        **os.environ,
        "DOCKER_HOST": daemon.settings.host,
        "DOCKER_CONFIG": str(tmp_path / "config"),
        "COMPOSE_STATUS_STDOUT": "1",
    }

    def run(*words: str, check: int = 0, text: str = "") -> str:
        if text:
            file.write_text(text)
        done = subprocess.run(
            [*program, *words],
            cwd=file.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == check, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr if check else done.stdout

    yield run
    run("down", "-v", "--remove-orphans", "-t", "0")


def containers(daemon: Daemon, service: str = "") -> list[Any]:
    label = f"com.docker.compose.service={service}" if service else "com.docker.compose.service"
    filters = json.dumps({"label": [label]})
    found: list[Any] = daemon.client.get("/containers/json", all=1, filters=filters).json()
    return found


def test_a_project_lives_and_is_gone(compose: Compose, daemon: Daemon) -> None:
    compose("up", "-d")
    assert {each["State"] for each in containers(daemon)} == {"running"}
    assert len(containers(daemon)) == 3
    (database,) = containers(daemon, "db")
    assert database["Status"].endswith("(healthy)")
    shown = compose("ps")
    assert all(f"project{sign}" in shown for sign in "_-" if f"project{sign}" in shown)
    assert compose("exec", "-T", "app", "sh", "-c", "echo $GREETING").strip() == "hello"
    assert compose("exec", "-T", "app", "wget", "-qO-", "http://web:8080/").strip()
    assert "sees it" in compose("logs", "--no-color", "app")
    assert compose("port", "web", "8080").startswith("127.0.0.1:")
    assert "sleep 1000" in compose("top", "db")
    compose("down", "-v", "-t", "0")
    assert containers(daemon) == []
    assert daemon.client.get("/volumes").json()["Volumes"] == []
    names = {network["Name"] for network in daemon.client.get("/networks").json()}
    assert names == {"bridge", "host", "none"}


def test_a_network_for_the_back_leads_nowhere_else(compose: Compose, daemon: Daemon) -> None:
    compose("up", "-d")
    (web,) = containers(daemon, "web")
    (front,) = web["NetworkSettings"]["Networks"].values()
    ping = f"ping -c1 -w1 {front['IPAddress']} 2>&1 || exit 7"
    compose("exec", "-T", "db", "sh", "-c", ping, check=7)
    compose("exec", "-T", "app", "sh", "-c", ping)
    (network,) = [n for n in daemon.client.get("/networks").json() if n["Name"].endswith("_back")]
    assert network["Internal"] is True


def test_what_has_not_changed_stays_and_what_has_is_made_anew(
    compose: Compose, daemon: Daemon
) -> None:
    compose("up", "-d")
    compose("exec", "-T", "db", "sh", "-c", "echo precious > /data/file")
    before = {each["Id"] for each in containers(daemon)}
    compose("up", "-d")
    assert {each["Id"] for each in containers(daemon)} == before
    compose("up", "-d", "-t", "0", text=PROJECT.replace("hello", "goodbye"))
    after = {each["Id"] for each in containers(daemon)}
    assert len(after) == 3 and len(after & before) < 3
    assert compose("exec", "-T", "app", "sh", "-c", "echo $GREETING").strip() == "goodbye"
    assert compose("exec", "-T", "db", "cat", "/data/file").strip() == "precious"


def test_more_of_one_service(compose: Compose, daemon: Daemon) -> None:
    compose("up", "-d", "--scale", "web=3")
    assert len(containers(daemon, "web")) == 3
    ports = {each["Ports"][0]["PublicPort"] for each in containers(daemon, "web")}
    assert len(ports) == 3
    compose("up", "-d", "--scale", "web=1", "-t", "0")
    assert len(containers(daemon, "web")) == 1


def test_stopped_started_restarted_paused_and_killed(compose: Compose, daemon: Daemon) -> None:
    compose("up", "-d", "db")
    for words, state in (
        (("stop", "-t", "0"), "exited"),
        (("start",), "running"),
        (("restart", "-t", "0"), "running"),
        (("pause",), "paused"),
        (("unpause",), "running"),
        (("kill",), "exited"),
    ):
        compose(*words)
        assert [each["State"] for each in containers(daemon, "db")] == [state], words
    compose("rm", "-f", "-s")
    assert containers(daemon, "db") == []


def test_a_command_of_its_own(compose: Compose, daemon: Daemon) -> None:
    told = compose("run", "--rm", "-T", "app", "sh", "-c", "echo $GREETING; ping -c1 database")
    assert told.startswith("hello\n")
    assert "1 packets received" in told
    assert [each["State"] for each in containers(daemon)] == ["running"]  # what it depends on


def test_a_profile_is_asked_for(compose: Compose, daemon: Daemon) -> None:
    compose("--profile", "more", "up", "-d", "extra")
    assert len(containers(daemon, "extra")) == 1


def test_who_waits_for_what_is_not_well_is_not_started(compose: Compose, daemon: Daemon) -> None:
    told = compose("up", "-d", text=SICK, check=1)
    assert "unhealthy" in told
    assert all(each["State"] != "running" for each in containers(daemon, "waits"))


def test_an_image_is_built_on_the_way(compose: Compose, tmp_path: Path, daemon: Daemon) -> None:
    (tmp_path / "project" / "Dockerfile").write_text("FROM busybox\nRUN echo built > /made\n")
    text = 'version: "2.4"\nservices: {own: {build: ., image: "own:1", command: cat /made}}\n'
    assert "built" in compose("up", "--no-color", text=text)
    assert daemon.client.delete("/images/own:1", force=1).status == 200
