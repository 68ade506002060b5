"""A daemon killed while it backs up, and while it restores: all of it, or nothing."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon
from trees import shown

KILLS = 8
FILL = (
    "for n in $(seq 300); do head -c 60000 /dev/urandom > /data/$n; done; "
    "for n in $(seq 100); do head -c 60000 /dev/urandom > /srv/$n; done; touch /full; sleep 1000"
)


def ask(daemon: Daemon, path: str, **body: Any) -> Any:
    return daemon.client.post(path, content=body)


def in_the_background(daemon: Daemon, path: str, **body: Any) -> threading.Thread:
    def work() -> None:
        with suppress(OSError, ValueError, http.client.HTTPException):  # the daemon dies under it
            ask(daemon, path, **body)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def filled(daemon: Daemon) -> str:
    container = daemon.run(
        "sh", "-c", FILL, name="web", HostConfig={"Binds": ["site:/data"], "NetworkMode": "none"}
    )
    deadline = time.monotonic() + 30
    while True:
        found = daemon.client.request("HEAD", f"/containers/{container}/archive", path="/full")
        if found.status == 200:
            return container
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refs(daemon: Daemon, target: Path) -> list[str]:
    answer = ask(daemon, "/lading/v1/backups/list", Target=str(target))
    return [each["ref"] for each in answer.json()["backups"]] if answer.status == 200 else []


@pytest.mark.slow
def test_a_backup_is_there_whole_or_not_at_all(own_daemon: Daemon, tmp_path: Path) -> None:
    container, chance = filled(own_daemon), random.Random(5)
    began = time.monotonic()
    ask(own_daemon, "/lading/v1/backups/create", Target=str(tmp_path / "first"), Names=["web"])
    usual = time.monotonic() - began
    target = tmp_path / "t"
    kept = ask(own_daemon, "/lading/v1/backups/create", Target=str(target), Names=["web"])
    assert kept.status == 200
    for _ in range(KILLS):
        before = len(refs(own_daemon, target))
        (own_daemon.settings.volumes / "site" / "_data" / "new").write_bytes(os.urandom(10**7))
        thread = in_the_background(
            own_daemon, "/lading/v1/backups/create", Target=str(target), Names=["web"]
        )
        time.sleep(chance.uniform(0, 1.2 * usual))
        own_daemon.kill()
        thread.join()
        own_daemon.start()
        state = own_daemon.client.get(f"/containers/{container}/json").json()["State"]
        assert state["Status"] == "running"
        assert len(refs(own_daemon, target)) in (before, before + 1)
        answer = ask(own_daemon, "/lading/v1/backups/verify", Target=str(target), ReadData=True)
        assert answer.lines()[-1]["aux"]["findings"] == []
        again = ask(own_daemon, "/lading/v1/backups/create", Target=str(target), Names=["web"])
        assert "error" not in again.lines()[-1]


def all_or_nothing(daemon: Daemon, files: object) -> bool:
    """Whether the container is there, and then with all that it had; it is removed."""
    found = daemon.client.get("/containers/json", all=1).json()
    assert len(found) == len(daemon.client.get("/volumes").json()["Volumes"])
    if found:
        assert shown(daemon.settings.volumes / "site" / "_data") == files
        changes = daemon.client.get("/containers/web/changes").json()
        assert sum(each["Path"].startswith("/srv/") for each in changes) == 100
        daemon.client.delete("/containers/web", v=1)
        daemon.client.delete("/volumes/site")
    for folder in (daemon.settings.containers, daemon.settings.volumes):
        assert [p.name for p in folder.iterdir() if not p.name.startswith(".trash-")] == []
    return bool(found)


@pytest.mark.slow
def test_a_restore_is_there_whole_or_not_at_all(make_daemon: Any, tmp_path: Path) -> None:
    source, target = make_daemon(), make_daemon(busybox=False)
    filled(source)
    place = tmp_path / "t"
    ask(source, "/lading/v1/backups/create", Target=str(place), Names=["web"])
    (ref,) = refs(source, place)
    files = shown(source.settings.volumes / "site" / "_data")
    chance, whole, usual = random.Random(9), 0, 0.0
    for turn in range(KILLS):
        began = time.monotonic()
        thread = in_the_background(target, "/lading/v1/restore", Ref=ref)
        if turn == 0:
            thread.join()
            usual = time.monotonic() - began
        else:
            time.sleep(chance.uniform(0, 1.3 * usual))
        target.kill()
        thread.join()
        target.start()
        whole += all_or_nothing(target, files)
    assert whole > 0
    answer = ask(target, "/lading/v1/restore", Ref=ref)
    assert "error" not in answer.lines()[-1]
