"""Backups where something is in the way: a full target, a read-only one, others at work."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon

SMALL = 24 * 1024 * 1024


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def backup(daemon: Daemon, place: Path, **body: Any) -> Any:
    asked = {"Target": str(place), "Names": ["web"], **body}
    return daemon.client.post("/lading/v1/backups/create", content=asked)


def verify(daemon: Daemon, place: Path) -> Any:
    body = {"Target": str(place), "ReadData": True}
    answer = daemon.client.post("/lading/v1/backups/verify", content=body)
    assert answer.status == 200, answer.body
    return answer.lines()[-1]["aux"]


def web(daemon: Daemon) -> Path:
    """A container with a volume, and where the volume's files lie."""
    daemon.run("sleep", "1000", name="web", HostConfig={"Binds": ["site:/data"]})
    return daemon.settings.volumes / "site" / "_data"


def test_a_full_target_keeps_what_it_had(daemon: Daemon, tmp_path: Path) -> None:
    data = web(daemon)
    with mounted(tmp_path / "full", "-o", f"size={SMALL}") as place:
        assert "error" not in backup(daemon, place / "t").lines()[-1]
        (data / "large").write_bytes(os.urandom(2 * SMALL))
        failed = backup(daemon, place / "t")
        assert b"No space left on device" in failed.body
        assert verify(daemon, place / "t") == {
            **verify(daemon, place / "t"), "backups": 1, "findings": []
        }  # fmt: skip
        state = daemon.client.get("/containers/web/json").json()["State"]
        assert state["Status"] == "running"
        (data / "large").write_bytes(b"small again")
        pruned = daemon.client.post(
            "/lading/v1/backups/prune", content={"Target": str(place / "t"), "Keep": {"last": 1}}
        )
        assert pruned.json()["freed"] > 0  # what the failed one left
        assert "error" not in backup(daemon, place / "t").lines()[-1]
        assert verify(daemon, place / "t")["findings"] == []


def test_a_read_only_target_can_be_read_and_restored_from(daemon: Daemon, tmp_path: Path) -> None:
    web(daemon)
    with mounted(tmp_path / "medium") as place:
        ref = backup(daemon, place / "t").lines()[-1]["aux"]["ref"]
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        assert verify(daemon, place / "t")["findings"] == []
        assert backup(daemon, place / "t").status == 503
        body = {"Ref": ref, "Name": "again", "Volumes": {"site": "site2"}}
        answer = daemon.client.post("/lading/v1/restore", content=body)
        assert answer.status == 200, answer.body


def test_several_writers_and_one_who_prunes(daemon: Daemon, tmp_path: Path) -> None:
    data, place = web(daemon), tmp_path / "t"
    daemon.run("sleep", "1000", name="other")
    stopped, failures = threading.Event(), list[bytes]()

    def write(name: str) -> None:
        for _ in range(5):
            answer = backup(daemon, place, Names=[name])
            if answer.status != 200 or "error" in answer.lines()[-1]:
                failures.append(answer.body)

    def prune() -> None:
        while not stopped.is_set():
            answer = daemon.client.post(
                "/lading/v1/backups/prune", content={"Target": str(place), "Keep": {"last": 2}}
            )
            if answer.status not in (200, 404, 409):  # not there yet, or in use
                failures.append(answer.body)
            time.sleep(0.02)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("web", "other")]
    pruner = threading.Thread(target=prune)
    for thread in (*writers, pruner):
        thread.start()
    for number in range(20):
        (data / f"{number}").write_bytes(os.urandom(100_000))
        time.sleep(0.05)
    for thread in writers:
        thread.join()
    stopped.set()
    pruner.join()
    assert failures == []
    found = verify(daemon, place)
    assert found["backups"] >= 2
    assert found["findings"] == []


@pytest.mark.parametrize("driver", ["overlay", "copying"])
def test_other_snapshotters_take_and_give_the_same(
    daemon: Daemon, make_daemon: Any, tmp_path: Path, driver: str
) -> None:
    script = "mkdir /srv/new; echo x > /srv/new/f; rm /bin/vi; touch /full; sleep 1000"
    container = daemon.run("sh", "-c", script, name="web")
    deadline = time.monotonic() + 20
    while b'"/full"' not in daemon.client.get(f"/containers/{container}/changes").body:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other = make_daemon("--snapshotter", driver, busybox=False)
    ref = backup(daemon, tmp_path / "t").lines()[-1]["aux"]["ref"]
    assert other.client.post("/lading/v1/restore", content={"Ref": ref}).status == 200
    changes = other.client.get("/containers/web/changes").json()
    wanted = {(0, "/bin"), (2, "/bin/vi"), (1, "/full"), (1, "/srv/new"), (1, "/srv/new/f")}
    assert wanted <= {(each["Kind"], each["Path"]) for each in changes}
    back = backup(other, tmp_path / "u").lines()[-1]["aux"]["ref"]
    body = {"Ref": back, "Name": "web2"}
    assert daemon.client.post("/lading/v1/restore", content=body).status == 200
    again = daemon.client.get("/containers/web2/changes").json()
    assert wanted <= {(each["Kind"], each["Path"]) for each in again}
