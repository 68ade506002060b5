"""A container moves to another engine: whole, once, and with nothing left where it is not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon
from ssh_server import ssh_server

MakeDaemon = Callable[..., Daemon]
_SECONDS = 30.0
_TICK = (
    "echo hello > /root/kept; rm /bin/vi; cp /bin/busybox /data/one; "
    "ln /data/one /data/two; echo ready; exec sleep 1000"
)


class Pair:
    """Two engines, and what may be said of both."""

    def __init__(self, here: Daemon, there: Daemon) -> None:
        self.here, self.there = here, there

    def migrate(self, *words: str) -> Any:
        host = self.there.settings.host
        return self.here.lading("migrate", *words, host)

    def begun(self, *words: str) -> subprocess.Popen[str]:
        program = str(Path(sys.executable).with_name("lading"))
        host = self.there.settings.host
        return subprocess.Popen(
            [program, "--host", self.here.settings.host, "migrate", *words, host],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def running(self) -> tuple[int, int]:
        """How many run here and there."""
        return running(self.here), running(self.there)


def running(daemon: Daemon) -> int:
    return len(daemon.client.get("/containers/json").json())


def stock(daemon: Daemon) -> list[object]:
    """Everything that an engine has: containers, volumes, images and networks, by name."""
    containers = daemon.client.get("/containers/json", all=1).json()
    volumes = daemon.client.get("/volumes").json()["Volumes"] or []
    images = daemon.client.get("/images/json").json()
    networks = daemon.client.get("/networks").json()
    staging = [path.name for path in daemon.settings.staging.glob("migration-*")]
    return [
        sorted(each["Id"] for each in containers),
        sorted(each["Name"] for each in volumes),
        sorted(each["Id"] for each in images),
        sorted(each["Name"] for each in networks),
        staging,
    ]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def pair(make_daemon: MakeDaemon) -> Pair:
    return Pair(make_daemon(), make_daemon(busybox=False))


def with_volume(daemon: Daemon, **config: Any) -> str:
    host = {"Binds": ["kept:/data"], **config.pop("HostConfig", {})}
    return daemon.run_ready(_TICK, name="web", HostConfig=host, **config)


class Client:
    """Ask for a page 200 times a second, and remember what failed when."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._over = threading.Event()
        self.answered = 0
        self.failed: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.005):
            try:
                with urllib.request.urlopen(self._url, timeout=2) as answer:
                    assert answer.read() == b"page\n"
                self.answered += 1
            except OSError:
                self.failed.append(time.monotonic())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestWhatMoves:
    def test_the_container_and_its_volume_are_there_whole_and_gone_here(self, pair: Pair) -> None:
        container = with_volume(pair.here)
        moved = pair.migrate("web")
        assert moved.returncode == 0, moved.stderr
        assert moved.stdout == "web\n"
        assert "downtime" in moved.stderr
        assert pair.running() == (0, 1)
        found = pair.there.lading("exec", "web", "sh", "-c", "cat /root/kept; ls /bin/vi; "
                                  "stat -c %h /data/two; cmp /data/one /bin/busybox")  # fmt: skip
        assert found.stdout == "hello\n2\n"
        shown = pair.there.client.get("/containers/web/json").json()
        assert shown["Id"] == container
        assert stock(pair.here)[:2] == [[], []]
        assert stock(pair.there)[4] == []

    def test_what_changes_between_the_rounds_is_there_as_it_was_at_last(self, pair: Pair) -> None:
        script = (
            "test -e /data/begun && exec sleep 1000; touch /data/begun; "
            "for n in $(seq 64); do head -c 1048576 /dev/urandom > /data/file$n; done; "
            "echo ready; n=0; "
            "while :; do n=$((n+1)); echo $n > /data/count; mkdir -p /data/d$n; "
            "rm -rf /data/d$((n-3)); head -c 65536 /dev/urandom > /data/file$((n%64+1)); "
            "sleep 0.01; done"
        )
        pair.here.run_ready(script, name="web", HostConfig={"Binds": ["kept:/data"]})
        moved = pair.migrate("--keep-source", "web")
        assert moved.returncode == 0, moved.stderr
        look = "cd /data; find . | sort | xargs stat -c '%n %a %s %y'; md5sum file* count"
        found = []
        for daemon in (pair.here, pair.there):
            daemon.run("sh", "-c", look, name="look", HostConfig={"Binds": ["kept:/data:ro"]})
            assert daemon.exit_code("look") == 0
            found.append(daemon.lading("logs", "look").stdout.splitlines())
        assert len(found[0]) > 128
        assert found[0] == found[1]

    def test_ports_are_taken_over_and_requests_fail_only_while_it_stands_still(
        self, pair: Pair
    ) -> None:
        port = free_port()
        binding = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        script = "mkdir /www; echo page > /www/index.html; echo ready; exec httpd -f -p 80 -h /www"
        pair.here.run_ready(
            script, name="web", HostConfig={"PortBindings": binding, "Binds": ["kept:/data"]}
        )
        with Client(port) as client:
            until(lambda: client.answered > 20, "it does not serve")
            moved = pair.migrate("web")
            assert moved.returncode == 0, moved.stderr
            reached = client.answered
            until(lambda: client.answered > reached + 20, "it does not serve again")
        told = float(moved.stderr.rpartition("downtime ")[2].split()[0])
        lasted = client.failed[-1] - client.failed[0] if client.failed else 0.0
        assert lasted < told + 0.5
        assert pair.running() == (0, 1)

    def test_a_stopped_container_moves_and_stays_stopped(self, pair: Pair) -> None:
        container = with_volume(pair.here)
        pair.here.client.post(f"/containers/{container}/kill")
        moved = pair.migrate("web")
        assert moved.returncode == 0, moved.stderr
        assert pair.running() == (0, 0)
        assert stock(pair.there)[:2] == [[container], ["kept"]]

    def test_it_is_kept_here_stopped_on_request(self, pair: Pair) -> None:
        container = with_volume(pair.here, HostConfig={"RestartPolicy": {"Name": "always"}})
        moved = pair.migrate("--keep-source", "web")
        assert moved.returncode == 0, moved.stderr
        pair.here.stop()
        pair.here.start()
        time.sleep(1)
        assert pair.running() == (0, 1)
        assert stock(pair.here)[:2] == [[container], ["kept"]]
        policy = pair.there.client.get("/containers/web/json").json()["HostConfig"]
        assert policy["RestartPolicy"]["Name"] == "always"

    def test_it_moves_back(self, pair: Pair) -> None:
        with_volume(pair.here)
        assert pair.migrate("web").returncode == 0
        moved = Pair(pair.there, pair.here).migrate("web")
        assert moved.returncode == 0, moved.stderr
        assert pair.running() == (1, 0)


class TestWhatIsRefused:
    def test_a_dry_run_tells_and_changes_nothing(self, pair: Pair) -> None:
        with_volume(pair.here)
        before = stock(pair.here), stock(pair.there)
        looked = pair.migrate("--dry-run", "web")
        assert looked.returncode == 0, looked.stderr
        assert "architecture" in looked.stderr
        assert (stock(pair.here), stock(pair.there)) == before

    def test_what_cannot_be_had_there_is_told_before_anything_is_changed(self, pair: Pair) -> None:
        with_volume(pair.here)
        pair.there.load_busybox()
        pair.there.run("sleep", "1000", name="web", HostConfig={"Binds": ["kept:/data"]})
        before = stock(pair.here), stock(pair.there)
        refused = pair.migrate("web")
        assert refused.returncode == 1
        assert "the name web is taken" in refused.stderr
        assert "a volume named kept is here already" in refused.stderr
        assert (stock(pair.here), stock(pair.there)) == before
        assert pair.running() == (1, 1)

    def test_what_reaches_beyond_the_container_must_be_allowed(self, pair: Pair) -> None:
        with_volume(pair.here, HostConfig={"CapAdd": ["SYS_TIME"]})
        refused = pair.migrate("web")
        assert "--allow cap-add" in refused.stderr
        assert pair.migrate("--allow", "cap-add", "web").returncode == 0


class TestFailures:
    def test_one_that_is_not_well_there_goes_on_here(self, pair: Pair) -> None:
        check = {"Test": ["CMD", "false"], "Interval": 10**9, "Retries": 100}
        container = with_volume(pair.here, Healthcheck=check)
        before = stock(pair.here), stock(pair.there)
        failed = pair.migrate("--timeout-health", "1", "web")
        assert failed.returncode == 1
        assert "it is starting" in failed.stderr
        assert pair.running() == (1, 0)
        assert pair.here.client.get(f"/containers/{container}/json").json()["State"]["Running"]
        assert (stock(pair.here), stock(pair.there)) == before

    @pytest.mark.parametrize("moment", ["round 1", "last round", "started at"])
    @pytest.mark.parametrize("victim", ["here", "there", "client"])
    def test_whoever_is_killed_one_side_has_it_in_the_end(
        self, pair: Pair, victim: str, moment: str
    ) -> None:
        with_volume(pair.here, HostConfig={"RestartPolicy": {"Name": "always"}})
        before = {"here": stock(pair.here), "there": stock(pair.there)}
        migrating = pair.begun("web")
        assert migrating.stderr is not None
        for line in migrating.stderr:
            if line.startswith(moment):
                break
        if victim == "client":
            migrating.kill()
        else:
            daemon = pair.here if victim == "here" else pair.there
            daemon.kill()
            assert sum(map(running_processes, (pair.here, pair.there))) <= 1 or victim == "there"
            time.sleep(0.5)
            daemon.start()
        migrating.communicate(timeout=60)
        until(lambda: sum(pair.running()) == 1, "not one of them runs it")
        time.sleep(1)
        assert sum(pair.running()) == 1
        loser, name = (pair.there, "there") if pair.running()[0] else (pair.here, "here")
        until(lambda: left_over(loser, before[name]) == [], "something was left behind")

    def test_ctrl_c_lets_it_go_on_here(self, pair: Pair) -> None:
        with_volume(pair.here)
        before = stock(pair.here), stock(pair.there)
        migrating = pair.begun("web")
        assert migrating.stderr is not None
        next(line for line in migrating.stderr if line.startswith("round 1"))
        migrating.send_signal(2)
        _, told = migrating.communicate(timeout=60)
        assert migrating.returncode in (0, 130), told
        if migrating.returncode:
            assert pair.running() == (1, 0)
            until(lambda: (stock(pair.here), stock(pair.there)) == before, "something was left")


def running_processes(daemon: Daemon) -> int:
    """Containers that run, when their daemon can be asked."""
    with suppress(OSError):
        return running(daemon)
    return 0


def left_over(daemon: Daemon, before: list[object]) -> list[object]:
    """Whatever is there beyond what was; the source's own image is its own."""
    now = stock(daemon)
    containers = [each for each in now[0] if each]
    if containers:
        return containers
    return [each for index in (1, 3, 4) for each in now[index] if each not in before[index]]


class Apart(Daemon):
    """A daemon in a network namespace of its own."""

    def command(self) -> list[str]:
        up = 'ip link set lo up && exec "$@"'
        return ["unshare", "--net", "sh", "-c", up, "sh", *super().command()]


@pytest.fixture
def apart(make_daemon: MakeDaemon) -> Iterator[Pair]:
    here = make_daemon()
    folder = Path(tempfile.mkdtemp(prefix="lading-"))
    there = Apart(folder)
    there.start()
    try:
        yield Pair(here, there)
    finally:
        there.reset()
        shutil.rmtree(folder, ignore_errors=True)


class TestTwoNetworks:
    def test_a_port_there_is_not_taken_for_the_one_here(self, apart: Pair) -> None:
        port = free_port()
        binding = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        with_volume(apart.here, HostConfig={"PortBindings": binding})
        moved = apart.migrate("web")
        assert moved.returncode == 0, moved.stderr
        assert apart.running() == (0, 1)
        shown = apart.there.client.get("/containers/web/json").json()
        ports = json.dumps(shown["NetworkSettings"]["Ports"])
        assert str(port) in ports

    def test_a_port_that_is_in_use_there_is_told_before_anything_is_changed(
        self, apart: Pair
    ) -> None:
        binding = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(free_port())}]}
        with_volume(apart.here, HostConfig={"PortBindings": binding})
        apart.there.load_busybox()
        apart.there.run("sleep", "1000", name="other", HostConfig={"PortBindings": binding})
        refused = apart.migrate("web")
        assert refused.returncode == 1
        assert "is in use on this host: use --map-port" in refused.stderr
        assert apart.running() == (1, 1)


class TestOverSsh:
    def test_it_moves_with_the_users_own_ssh(self, pair: Pair, tmp_path: Path) -> None:
        program = str(Path(sys.executable).with_name("lading"))
        forced = f"{program} --host {pair.there.settings.host} system dial-stdio"
        with ssh_server(tmp_path / "ssh", forced) as server:
            with_volume(pair.here)
            way = {"PATH": f"{server.bin}:{os.environ['PATH']}"}
            moved = pair.here.lading("migrate", "web", f"ssh://{server.authority}", env=way)
        assert moved.returncode == 0, moved.stderr
        assert pair.running() == (0, 1)

    def test_a_host_that_cannot_be_reached_changes_nothing(
        self, pair: Pair, tmp_path: Path
    ) -> None:
        with_volume(pair.here)
        before = stock(pair.here)
        failed = pair.here.lading("migrate", "web", f"ssh://127.0.0.1:{free_port()}")
        assert failed.returncode == 1
        assert "does not answer" in failed.stderr
        assert stock(pair.here) == before
        assert pair.running() == (1, 0)
