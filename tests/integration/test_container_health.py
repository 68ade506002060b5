"""Health checks: run by the daemon, told in inspect, ps, filters and events, and kept up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND


def check(script: str, **changed: Any) -> dict[str, Any]:
    quick = {"Interval": 100 * MILLISECOND, "Timeout": 5 * SECOND, "Retries": 2}
    return {"Test": ["CMD-SHELL", script], **quick, **changed}


def watched(daemon: Daemon, script: str, name: str = "watched", **changed: Any) -> str:
    """A running container, whose health the *script* tells."""
    config = {"Healthcheck": check(script, **changed), "StopSignal": "SIGKILL"}
    return daemon.run("sleep", "1000", name=name, **config)


def health(daemon: Daemon, container: str) -> Any:
    return daemon.client.get(f"/containers/{container}/json").json()["State"].get("Health")


def eventually(daemon: Daemon, container: str, wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 20
    while not wanted(found := health(daemon, container)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def is_(status: str) -> Callable[[Any], bool]:
    return lambda found: bool(found["Status"] == status)


def test_one_that_is_well_is_told_so_everywhere(daemon: Daemon) -> None:
    since = f"{time.time():.6f}"
    container = watched(daemon, "echo all is well; exit 0")
    assert health(daemon, container)["Status"] in ("starting", "healthy")
    found = eventually(daemon, container, lambda h: h["Status"] == "healthy" and len(h["Log"]) > 1)
    assert found["FailingStreak"] == 0
    assert found["Log"][0]["ExitCode"] == 0
    assert found["Log"][0]["Output"] == "all is well\n"
    assert found["Log"][0]["Start"] < found["Log"][0]["End"]
    (shown,) = daemon.client.get(
        "/containers/json", filters=json.dumps({"health": ["healthy"]})
    ).json()
    assert shown["Status"].endswith("(healthy)")
    assert (
        daemon.client.get("/containers/json", filters=json.dumps({"health": ["none"]})).json() == []
    )
    until = f"{time.time():.6f}"
    told = daemon.client.get("/events", since=since, until=until).lines()
    assert [each["Action"] for each in told].count("health_status: healthy") == 1


def test_one_that_fails_often_enough_is_unhealthy_and_may_recover(daemon: Daemon) -> None:
    container = watched(daemon, "test -e /well")
    found = eventually(daemon, container, is_("unhealthy"))
    assert found["FailingStreak"] >= 2
    assert found["Log"][-1]["ExitCode"] == 1
    assert daemon.docker("exec", container, "touch", "/well").returncode == 0
    assert eventually(daemon, container, is_("healthy"))["FailingStreak"] == 0


def test_failures_do_not_count_while_it_starts(daemon: Daemon) -> None:
    times = {
        "StartPeriod": 600 * SECOND,
        "StartInterval": 100 * MILLISECOND,
        "Interval": 600 * SECOND,
    }
    container = watched(daemon, "test -e /well", **times)
    found = eventually(daemon, container, lambda h: len(h["Log"]) >= 3)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    (shown,) = daemon.client.get("/containers/json").json()
    assert shown["Status"].endswith("(health: starting)")
    daemon.docker("exec", container, "touch", "/well")
    eventually(daemon, container, is_("healthy"))


def test_one_that_takes_too_long_is_cut_off(daemon: Daemon) -> None:
    container = watched(daemon, "echo begun; exec sleep 777", Timeout=300 * MILLISECOND)
    found = eventually(daemon, container, is_("unhealthy"))
    assert found["Log"][0]["ExitCode"] == -1
    assert found["Log"][0]["Output"].startswith("Health check exceeded timeout (300ms)")
    titles = daemon.client.get(f"/containers/{container}/top").json()
    assert sum("sleep 777" in " ".join(row) for row in titles["Processes"]) <= 1


def test_a_talkative_one_is_cut_short_and_fills_nothing(daemon: Daemon) -> None:
    container = watched(daemon, "yes | head -c 3000000")
    output = eventually(daemon, container, is_("healthy"))["Log"][0]["Output"]
    assert output == "y\n" * 2048 + "..."


def test_the_log_holds_five(daemon: Daemon) -> None:
    container = watched(daemon, "echo x >> /n; wc -l < /n")
    found = eventually(
        daemon, container, lambda h: len(h["Log"]) == 5 and h["Log"][-1]["Output"] > "6"
    )
    numbers = [int(each["Output"]) for each in found["Log"]]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_it_ends_with_the_container_and_begins_anew_with_it(daemon: Daemon) -> None:
    container = watched(daemon, "echo x >> /n; exit 0")
    eventually(daemon, container, is_("healthy"))
    daemon.client.post(f"/containers/{container}/stop")
    ended = health(daemon, container)
    assert ended["Status"] == "unhealthy"
    time.sleep(0.4)
    assert health(daemon, container) == ended
    daemon.client.post(f"/containers/{container}/start")
    eventually(daemon, container, is_("healthy"))


def test_one_that_stands_still_is_left_alone(daemon: Daemon) -> None:
    container = watched(daemon, "exit 0")
    eventually(daemon, container, is_("healthy"))
    daemon.client.post(f"/containers/{container}/pause")
    time.sleep(0.4)
    assert health(daemon, container)["Status"] == "unhealthy"
    assert health(daemon, container)["FailingStreak"] == 0
    daemon.client.post(f"/containers/{container}/unpause")
    eventually(daemon, container, is_("healthy"))


@pytest.mark.parametrize("words", [["NONE"], []])
def test_no_check_no_health(daemon: Daemon, words: list[str]) -> None:
    container = daemon.run("sleep", "100", name="plain", Healthcheck={"Test": words})
    assert health(daemon, container) is None
    (shown,) = daemon.client.get("/containers/json").json()
    assert "(" not in shown["Status"]


def test_what_cannot_be_run_is_unhealthy(daemon: Daemon) -> None:
    test = {"Test": ["CMD", "/no/such/program"]}
    found = eventually(daemon, watched(daemon, "", **test), is_("unhealthy"))
    assert found["Log"][0]["ExitCode"] != 0
    assert "no/such/program" in found["Log"][0]["Output"]


def test_it_is_a_process_of_the_container_as_its_user(daemon: Daemon) -> None:
    config = {
        "Healthcheck": check("id -u; echo $GREETING; pwd"),
        "User": "33",
        "WorkingDir": "/tmp",
    }
    container = daemon.run("sleep", "100", Env=["GREETING=hello"], **config)
    assert eventually(daemon, container, is_("healthy"))["Log"][0]["Output"] == "33\nhello\n/tmp\n"


def test_the_image_says_it_and_the_command_line_may_differ(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nHEALTHCHECK --interval=100ms --retries=1 CMD echo from the image\n"
    )
    built = daemon.lading("build", "-q", "-t", "checked", str(tmp_path))
    assert built.returncode == 0, built.stderr
    run = ("run", "-d", "--stop-signal", "KILL")
    one = daemon.lading(*run, "checked", "sleep", "100").stdout.strip()
    two = daemon.lading(*run, "--health-cmd", "echo mine", "checked", "sleep", "100").stdout.strip()
    none = daemon.lading(*run, "--no-healthcheck", "checked", "sleep", "100").stdout.strip()
    assert eventually(daemon, one, is_("healthy"))["Log"][0]["Output"] == "from the image\n"
    assert eventually(daemon, two, is_("healthy"))["Log"][0]["Output"] == "mine\n"
    assert health(daemon, none) is None
    for each in (one, two, none):
        daemon.client.delete(f"/containers/{each}", force=1)
    assert daemon.client.delete("/images/checked").status == 200


def test_another_daemon_goes_on_with_it(own_daemon: Daemon) -> None:
    daemon = own_daemon
    well = watched(daemon, "echo x >> /n; wc -l < /n", name="well")
    stuck = watched(daemon, "exec sleep 888", name="stuck", Timeout=600 * SECOND)
    eventually(daemon, well, is_("healthy"))
    time.sleep(0.3)
    daemon.kill()
    daemon.start()
    assert health(daemon, well)["Status"] == "healthy"
    seen = health(daemon, well)["Log"][-1:]
    eventually(daemon, well, lambda h: h["Log"][-1:] != seen)
    time.sleep(0.5)
    rows = daemon.client.get(f"/containers/{stuck}/top").json()["Processes"]
    assert sum("sleep 888" in " ".join(row) for row in rows) <= 1  # the old one is gone


def test_many_checks_hold_no_threads(own_daemon: Daemon) -> None:
    for number in range(8):
        watched(own_daemon, "sleep 0.5", name=f"many{number}")
    for number in range(8):
        eventually(own_daemon, f"many{number}", is_("healthy"))
    status = Path(f"/proc/{own_daemon.pid}/status").read_text()
    threads = int(status.partition("Threads:")[2].split()[0])
    assert threads < 40
    eventually(own_daemon, "many0", lambda h: len(h["Log"]) == 5)
