"""A daemon killed while it commits: the container goes on, and the image is whole or none."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest

from engine_daemon import Daemon

KILLS = 12
# Files to take a while over, and one that grows for as long as the container is not frozen.
FILL = "mkdir /big; for n in $(seq 800); do head -c 40000 /dev/urandom > /big/$n; done; touch /full"
LIVE = "while :; do date +%s%N >> /beat; usleep 5000; done"


def holds(daemon: Daemon, container: str, path: str) -> bool:
    answer = daemon.client.request("HEAD", f"/containers/{container}/archive", path=path)
    return int(answer.status) == 200


def size(daemon: Daemon, container: str) -> int:
    found = daemon.client.get("/containers/json", size=1, filters=f'{{"id":["{container}"]}}')
    return int(found.json()[0]["SizeRw"])


def commit_in_the_background(daemon: Daemon, container: str, tag: str) -> threading.Thread:
    def ask() -> None:
        with suppress(OSError, ValueError):  # the daemon dies under it
            daemon.client.post("/commit", container=container, repo="saved", tag=tag)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.mark.slow
def test_it_goes_on_and_there_is_an_image_or_none(own_daemon: Daemon) -> None:
    container = own_daemon.run("sh", "-c", f"{FILL}; {LIVE}")
    deadline = time.monotonic() + 30
    while not holds(own_daemon, container, "/full"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    chance, whole, began = random.Random(7), 0, time.monotonic()
    commit_in_the_background(own_daemon, container, "first").join()
    usual = time.monotonic() - began
    for turn in range(KILLS):
        thread = commit_in_the_background(own_daemon, container, str(turn))
        if turn == 0:
            thread.join()  # it was acknowledged, and is to stay
        elif turn > 1:  # the second is killed at once
            time.sleep(chance.uniform(0, 1.6 * usual))
        own_daemon.kill()
        thread.join()
        own_daemon.start()
        found = own_daemon.client.get(f"/containers/{container}/json").json()["State"]
        assert found["Status"] == "running"
        before = size(own_daemon, container)
        time.sleep(0.1)
        assert size(own_daemon, container) > before
        tags = [t for i in own_daemon.client.get("/images/json").json() for t in i["RepoTags"]]
        whole += f"saved:{turn}" in tags
    last = own_daemon.client.post("/commit", container=container, repo="saved", tag="last")
    assert last.status == 201
    for tag in [t for t in tags if t.startswith("saved:")] + ["saved:last"]:
        made = own_daemon.client.post(
            "/containers/create", content={"Image": tag, "Cmd": ["sh", "-c", "ls /big | wc -l"]}
        ).json()["Id"]
        own_daemon.client.post(f"/containers/{made}/start")
        assert own_daemon.exit_code(made) == 0
        assert own_daemon.output(made).body.endswith(b"800\n")
    assert 0 < whole < KILLS
