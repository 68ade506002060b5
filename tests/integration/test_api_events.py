"""Events: what is done with a container is told with Docker's words and attributes."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest

from engine_daemon import Daemon


def told(daemon: Daemon, since: float, action: str, **filters: list[str]) -> list[Any]:
    answer = daemon.client.get(
        "/events",
        since=f"{since:.6f}",
        until=f"{time.time():.6f}",
        filters=json.dumps({"event": [action], **filters}),
    )
    return answer.lines()


def empty_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w"):
        pass
    return out.getvalue()


ACTIONS: dict[str, tuple[Callable[[Any, str], Any], dict[str, str]]] = {
    "resize": (
        lambda client, ref: client.post(f"/containers/{ref}/resize", h=10, w=20),
        {"height": "10", "width": "20"},
    ),
    "top": (lambda client, ref: client.get(f"/containers/{ref}/top"), {}),
    "export": (lambda client, ref: client.get(f"/containers/{ref}/export"), {}),
    "archive-path": (
        lambda client, ref: client.get(f"/containers/{ref}/archive", path="/etc"),
        {"path": "/etc"},
    ),
    "extract-to-dir": (
        lambda client, ref: client.request(
            "PUT",
            f"/containers/{ref}/archive",
            body=empty_tar(),
            headers={"Content-Type": "application/x-tar"},
            path="/tmp",
        ),
        {"path": "/tmp"},
    ),
    "commit": (
        lambda client, ref: client.post("/commit", container=ref, comment="why"),
        {"comment": "why"},
    ),
    "update": (
        lambda client, ref: client.post(f"/containers/{ref}/update", content={"CpuShares": 200}),
        {},
    ),
    "rename": (lambda client, ref: client.post(f"/containers/{ref}/rename", name="later"), {}),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_done_is_told(daemon: Daemon, action: str) -> None:
    container = daemon.run("sleep", "100", name="done", Labels={"a": "b"})
    since = time.time()
    do, attributes = ACTIONS[action]
    answer = do(daemon.client, container)
    assert answer.status < 300, answer.body
    (event,) = told(daemon, since, action, container=[container], label=["a=b"])
    assert event["Type"] == "container" and event["Actor"]["ID"] == container
    shown = event["Actor"]["Attributes"]
    assert shown["image"] == "busybox:latest"
    assert attributes.items() <= shown.items()
    if action == "commit":
        assert shown["imageID"] == answer.json()["Id"]
        daemon.client.delete(f"/images/{answer.json()['Id']}")


def test_who_comes_and_leaves_is_told(daemon: Daemon) -> None:
    container = daemon.run("sh", Tty=True, OpenStdin=True, StopSignal="SIGKILL")
    since = time.time()
    query = {"stream": 1, "stdin": 1, "stdout": 1, "detachKeys": "ctrl-x"}
    hijacked = daemon.client.hijack(f"/containers/{container}/attach", **query)
    hijacked.send(b"\x18")
    hijacked.read()
    (event,) = told(daemon, since, "attach")
    assert event["Actor"]["ID"] == container
    assert len(told(daemon, since, "detach")) == 1


def test_a_prune_is_told_with_what_it_freed(daemon: Daemon) -> None:
    daemon.exit_code(daemon.run("true"))
    since = time.time()
    daemon.client.post("/containers/prune")
    (event,) = told(daemon, since, "prune", type=["container"])
    assert int(event["Actor"]["Attributes"]["reclaimed"]) >= 0


def test_an_image_that_is_saved_is_told_of(daemon: Daemon) -> None:
    since = time.time()
    assert daemon.client.get("/images/busybox/get").status == 200
    (event,) = told(daemon, since, "save", type=["image"])
    assert event["Actor"]["Attributes"]["name"] == "busybox:latest"
