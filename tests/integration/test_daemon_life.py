"""A daemon that is killed, started twice, or meets a host that was restarted: nothing is lost."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_client import Output
from engine_daemon import BUSYBOX, Daemon

MakeDaemon = Callable[..., Daemon]
SERVE = "mkdir -p /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www"


def state(daemon: Daemon, container: str) -> dict[str, object]:
    found: dict[str, object] = daemon.client.get(f"/containers/{container}/json").json()["State"]
    return found


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether it runs no more; init may take its time to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def published(daemon: Daemon, container: str) -> int:
    shown = daemon.client.get(f"/containers/{container}/json").json()
    return int(shown["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


def page(port: int, host: str = "127.0.0.1") -> str:
    deadline = time.monotonic() + 10
    while True:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/index.html")
            return connection.getresponse().read().decode()
        except OSError:
            assert time.monotonic() < deadline, f"nobody answers on port {port}"
            time.sleep(0.05)


class TestKilled:
    def test_containers_go_on_and_are_found_again(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        ports = {"PortBindings": {"80/tcp": [{"HostPort": "0"}]}}
        web = daemon.run("sh", "-c", SERVE, name="web", HostConfig=ports)
        before = state(daemon, web)
        port = published(daemon, web)
        assert page(port) == "page\n"
        daemon.kill()
        assert page(port) == "page\n"
        daemon.start()
        after = state(daemon, web)
        assert (after["Status"], after["Pid"]) == ("running", before["Pid"])
        assert page(published(daemon, web)) == "page\n"
        exec_id = daemon.client.post(
            f"/containers/{web}/exec", content={"Cmd": ["true"], "AttachStdout": True}
        ).json()["Id"]
        daemon.client.hijack(f"/exec/{exec_id}/start", content={}).read()
        assert daemon.client.get(f"/exec/{exec_id}/json").json()["ExitCode"] == 0

    def test_an_exit_nobody_saw_is_known(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        ends = daemon.run("sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 42")
        goes = daemon.run_ready("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
        pid = int(str(state(daemon, ends)["Pid"]))
        time.sleep(0.3)
        daemon.kill()
        Path(f"/proc/{pid}/root/go").touch()
        until(lambda: not Path(f"/proc/{pid}").exists())
        daemon.start()
        assert daemon.exit_code(ends) == 42
        assert state(daemon, ends)["Status"] == "exited"
        assert daemon.client.post(f"/containers/{goes}/stop").status == 204
        assert daemon.exit_code(goes) == 7

    def test_the_log_goes_on_without_a_gap(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        script = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done"
        talker = daemon.run("sh", "-c", script)
        time.sleep(0.4)
        daemon.kill()
        time.sleep(0.4)
        daemon.start()
        followed = daemon.client.get(
            f"/containers/{talker}/logs", stdout=1, stderr=1, follow=1
        ).body
        lines = Output.of(followed).stdout.decode().splitlines()
        assert lines == [f"line {n}" for n in range(40)]

    def test_attach_and_wait_work_afterwards(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        echo = daemon.run("sh", "-c", "read x; echo got $x; exit 3", OpenStdin=True)
        daemon.kill()
        daemon.start()
        codes: list[int] = []
        waiter = threading.Thread(target=lambda: codes.append(daemon.exit_code(echo)))
        waiter.start()
        stream = daemon.client.hijack(f"/containers/{echo}/attach", stream=1, stdin=1, stdout=1)
        stream.send(b"hello\n")
        assert Output.of(stream.read()).stdout == b"got hello\n"
        waiter.join(20)
        assert codes == [3]

    def test_a_paused_container_stays_paused(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        still = daemon.run("sleep", "1000")
        assert daemon.client.post(f"/containers/{still}/pause").status == 204
        daemon.kill()
        daemon.start()
        assert state(daemon, still)["Status"] == "paused"
        assert daemon.client.post(f"/containers/{still}/unpause").status == 204

    def test_restart_policies_are_kept_while_it_is_away(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        always = {"RestartPolicy": {"Name": "always"}}
        again = daemon.run("sleep", "1000", HostConfig=always)
        told = daemon.run("sleep", "1000", HostConfig={"RestartPolicy": {"Name": "unless-stopped"}})
        assert daemon.client.post(f"/containers/{told}/stop", t=0).status == 204
        pid = int(str(state(daemon, again)["Pid"]))
        daemon.kill()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}").exists())
        daemon.start()
        until(lambda: state(daemon, again)["Running"] is True and state(daemon, again)["Pid"] != 0)
        assert state(daemon, again)["Pid"] != pid
        assert state(daemon, told)["Status"] == "exited"

    def test_killing_a_monitor_is_noticed(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        container = daemon.run("sleep", "1000")
        pid = int(str(state(daemon, container)["Pid"]))
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        until(lambda: state(daemon, container)["Status"] == "exited", 4.0)
        until(lambda: is_gone(pid))
        assert state(daemon, container)["ExitCode"] == 137

    def test_it_comes_up_however_often_it_is_killed_in_starting(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        running = daemon.run("sleep", "1000")
        daemon.kill()
        log = daemon.log.open("ab")
        for number in range(25):
            starting = subprocess.Popen(daemon.command(), stdout=log, stderr=log)
            time.sleep(0.02 + number * 0.03)
            starting.kill()
            starting.wait()
        log.close()
        daemon.start()
        assert state(daemon, running)["Status"] == "running"


class TestRestartedHost:
    def test_everything_is_rebuilt_and_policies_hold(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        ports = {"80/tcp": [{"HostPort": "0"}]}
        wanted = {"PortBindings": ports, "RestartPolicy": {"Name": "unless-stopped"}}
        web = daemon.run("sh", "-c", SERVE, name="web", HostConfig=wanted)
        page(published(daemon, web))
        once = daemon.run("sleep", "1000", name="once")
        restart_the_host(daemon)
        daemon.start()
        until(lambda: state(daemon, web)["Running"] is True and state(daemon, web)["Pid"] != 0)
        assert page(published(daemon, web)) == "page\n"
        ended = state(daemon, once)
        assert (ended["Status"], ended["ExitCode"]) == ("exited", 255)
        assert daemon.client.post(f"/containers/{once}/start").status == 204
        assert state(daemon, once)["Status"] == "running"

    def test_files_written_before_are_there(self, own_daemon: Daemon) -> None:
        daemon = own_daemon
        binds = {"Binds": ["kept:/kept"]}
        script = "echo root >/file; echo volume >/kept/file; sync; exec sleep 1000"
        container = daemon.run("sh", "-c", script, HostConfig=binds)
        time.sleep(0.5)
        restart_the_host(daemon)
        daemon.start()
        body = daemon.client.get(f"/containers/{container}/archive", path="/file").body
        assert b"root\n" in body
        body = daemon.client.get(f"/containers/{container}/archive", path="/kept/file").body
        assert b"volume\n" in body


def restart_the_host(daemon: Daemon) -> None:
    """What a reboot does to this engine: no process, mount, link, table, group or RUN is left."""
    daemon.kill()
    for pid in processes_of(daemon):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    for entry in reversed(daemon.leavings()):
        kind, _, name = entry.partition(" ")
        undo = {"mount": ["umount", "-l"], "link": ["ip", "link", "del"], "nft": ["nft", "delete"]}
        if kind in undo:
            subprocess.run([*undo[kind], *name.split()], check=False)
    shutil.rmtree(daemon.settings.run_root)
    forget_the_boot(daemon.settings.state_db)


def processes_of(daemon: Daemon) -> list[int]:
    """Monitors, and everything in the engine's control groups."""
    shown = [each for each in daemon.leavings() if each.startswith("process")]
    found = [int(each.split()[1].rstrip(":")) for each in shown]
    for pattern in (f"lading-{daemon.settings.instance}*", f"*/lading-{daemon.settings.instance}*"):
        for group in Path("/sys/fs/cgroup").glob(pattern):
            for file in group.rglob("cgroup.procs"):
                found += [int(pid) for pid in file.read_text().split()]
    return sorted(set(found))


def forget_the_boot(state_db: Path) -> None:
    """Make every container one that ran in another boot."""
    with sqlite3.connect(state_db) as database:
        rows = database.execute("SELECT key, value FROM records WHERE kind = 'container'")
        for key, value in rows.fetchall():
            record = json.loads(value)
            record.setdefault("state", {})["boot_id"] = "another boot"
            database.execute(
                "UPDATE records SET value = ? WHERE kind = 'container' AND key = ?",
                (json.dumps(record).encode(), key),
            )
    database.close()


class TestTwo:
    def test_engines_with_other_roots_leave_each_other_alone(self, make_daemon: MakeDaemon) -> None:
        one, other = make_daemon(), make_daemon()
        ports = {"PortBindings": {"80/tcp": [{"HostPort": "0"}]}}
        served = {
            daemon: daemon.run("sh", "-c", SERVE, name="web", HostConfig=ports)
            for daemon in (one, other)
        }
        addresses = {
            daemon.client.get("/containers/web/json").json()["NetworkSettings"]["IPAddress"]
            for daemon in served
        }
        assert len(addresses) == 2
        for daemon in served:
            assert page(published(daemon, "web")) == "page\n"
        port = published(one, "web")
        taken = other.create(
            "true", HostConfig={"PortBindings": {"80/tcp": [{"HostPort": str(port)}]}}
        )
        refused = other.client.post(f"/containers/{taken}/start")
        assert refused.status == 500 or refused.status == 409
        assert "port is already allocated" in refused.message
        one.reset()
        assert one.leavings() == []
        assert page(published(other, "web")) == "page\n"

    def test_a_second_daemon_on_one_root_is_refused(self, own_daemon: Daemon) -> None:
        done = subprocess.run(
            own_daemon.command(), capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 1
        assert f"another lading daemon (process {own_daemon.pid})" in done.stderr
        assert own_daemon.client.get("/_ping").status == 200


class TestRoots:
    def test_a_newer_schema_is_refused_by_name(self, own_daemon: Daemon) -> None:
        own_daemon.stop()
        with sqlite3.connect(own_daemon.settings.state_db) as database:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            database.execute("PRAGMA user_version = 1000")
        database.close()
        done = subprocess.run(
            own_daemon.command(), capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, "has schema 1000" in done.stderr) == (1, True), done.stderr
        with sqlite3.connect(own_daemon.settings.state_db) as database:
            database.execute(f"PRAGMA user_version = {schema}")
        database.close()
        own_daemon.start()

    def test_one_bad_record_does_not_keep_it_from_starting(self, own_daemon: Daemon) -> None:
        good = own_daemon.create("true", name="good")
        own_daemon.create("true", name="bad")
        own_daemon.stop()
        with sqlite3.connect(own_daemon.settings.state_db) as database:
            database.execute(
                "UPDATE records SET value = x'7b' WHERE kind = 'container' AND key != ?", (good,)
            )
        database.close()
        own_daemon.start()
        shown = own_daemon.client.get("/containers/json", all=1).json()
        assert [each["Id"] for each in shown] == [good]

    def test_others_cannot_look_into_a_root(self, own_daemon: Daemon) -> None:
        settings = own_daemon.settings
        for path in (settings.root, settings.run_root):
            assert path.stat().st_mode & 0o007 == 0
        assert settings.state_db.stat().st_mode & 0o077 == 0
        assert settings.socket.stat().st_mode & 0o777 == 0o660

    @pytest.mark.parametrize("driver", ["overlay", "copying"])
    def test_every_snapshotter_carries_the_story(
        self, make_daemon: MakeDaemon, driver: str
    ) -> None:
        daemon = make_daemon("--snapshotter", driver)
        assert daemon.client.get("/info").json()["Driver"] == driver
        container = daemon.run("sh", "-c", "echo changed >/file")
        assert daemon.exit_code(container) == 0
        made = daemon.client.post("/commit", container=container, repo="made")
        assert made.status == 201, made.body
        again = daemon.run("cat", "/file", Image="made")
        assert daemon.exit_code(again) == 0
        assert Output.of(daemon.output(again).body).stdout == b"changed\n"

    def test_layers_of_another_driver_go_on_to_be_used(self, own_daemon: Daemon) -> None:
        made = own_daemon.run("sh", "-c", "echo kept >/file; exec sleep 1000")
        own_daemon.stop()
        own_daemon._arguments = ("--snapshotter", "overlay")
        own_daemon.start()
        assert own_daemon.client.get("/info").json()["Driver"] == "overlay"
        assert state(own_daemon, made)["Status"] == "running"
        fresh = own_daemon.run("echo", "new", Image=BUSYBOX)
        assert own_daemon.exit_code(fresh) == 0
        assert own_daemon.client.post(f"/containers/{made}/restart", t=0).status == 204
        assert state(own_daemon, made)["Status"] == "running"
