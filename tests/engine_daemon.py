"""A real daemon on a root and a socket of its own, for tests; and what it may not leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine_client import Answer, Client
from lading.settings import Settings

BUSYBOX = "busybox:latest"
_START_SECONDS = 20.0
_STOP_SECONDS = 30.0


class Daemon:
    """One `lading daemon` process, which can be killed and started again on the same root."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.settings = Settings(
            root=directory / "root",
            run_root=directory / "run",
            host=f"unix://{directory}/lading.sock",
        )
        self.log = directory / "daemon.log"
        self.client = Client(str(self.settings.socket))
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "lading", "daemon"),
            *("--root", str(self.settings.root)),
            *("--run-root", str(self.settings.run_root)),
            *("--host", self.settings.host),
            *self._arguments,
        ]

    def start(self) -> float:
        """Start it, and wait until it answers; how many seconds that took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while time.monotonic() - began < _START_SECONDS:
            with suppress(OSError):
                if self.client.get("/_ping").status == 200:
                    return time.monotonic() - began
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        raise AssertionError(f"the daemon does not answer: {self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process
        code = self._process.wait(_STOP_SECONDS)
        self._process = None
        return code

    def reset(self) -> None:
        """Remove everything, through the API; the daemon ends by itself."""
        if self._process is None:
            self.start()
        answer = self.client.post("/lading/v1/system/reset")
        assert answer.status in (200, 204), answer.body
        assert self.wait() == 0, self.log.read_text()

    def load_busybox(self) -> None:
        """An image to run."""
        answer = self.client.post("/lading/v1/images/bootstrap", kind="busybox")
        assert answer.status == 200, answer.body
        assert "error" not in answer.lines()[-1], answer.body

    def docker(self, *words: str, program: str = "docker", **options: Any) -> Any:
        """Run Docker's own command against this daemon."""
        environment = {
            **os.environ,
            "DOCKER_HOST": self.settings.host,
            "DOCKER_CONFIG": str(self.directory / "docker-config"),
        }
        options = {"capture_output": True, "text": True, "timeout": 120, **options}
        return subprocess.run([program, *words], env=environment, check=False, **options)

    def lading(self, *words: str, **options: Any) -> Any:
        """Run lading's own command against this daemon."""
        program = Path(sys.executable).with_name("lading")
        environment = {**os.environ, **options.pop("env", {}), "LADING_HOST": self.settings.host}
        options = {"capture_output": True, "text": True, "timeout": 120, **options}
        return subprocess.run([program, *words], env=environment, check=False, **options)

    def run(self, *command: str, name: str | None = None, **config: Any) -> str:
        """Create and start a container of busybox; its ID."""
        container = self.create(*command, name=name, **config)
        started = self.client.post(f"/containers/{container}/start")
        assert started.status == 204, started.body
        return container

    def run_ready(self, script: str, **config: Any) -> str:
        """The same with a shell's *script*, which has said that it is ``ready``."""
        container = self.run("sh", "-c", script, **config)
        deadline = time.monotonic() + _START_SECONDS
        while b"ready" not in self.output(container).body:
            assert time.monotonic() < deadline, "the script did not come to that"
            time.sleep(0.02)
        return container

    def create(self, *command: str, name: str | None = None, **config: Any) -> str:
        asked = {"Image": BUSYBOX, "Cmd": list(command), **config}
        query = {"name": name} if name else {}
        answer = self.client.post("/containers/create", content=asked, **query)
        assert answer.status == 201, answer.body
        return str(answer.json()["Id"])

    def exit_code(self, container: str) -> int:
        """Wait for its end."""
        answer = self.client.post(f"/containers/{container}/wait")
        assert answer.status == 200, answer.body
        return int(answer.json()["StatusCode"])

    def output(self, container: str) -> Answer:
        return self.client.get(f"/containers/{container}/logs", stdout=1, stderr=1)

    def remove_containers(self) -> None:
        """Everything a test left running or lying about, images aside."""
        for each in self.client.get("/containers/json", all=1).json():
            self.client.delete(f"/containers/{each['Id']}", force=1, v=1)
        for network in self.client.get("/networks").json():
            self.client.delete(f"/networks/{network['Id']}")
        for volume in self.client.get("/volumes").json()["Volumes"]:
            self.client.delete(f"/volumes/{volume['Name']}", force=1)

    def leavings(self) -> list[str]:
        """What is still there of this instance: mounts, links, tables, groups, processes."""
        return list(_leavings(self.settings))


def _leavings(settings: Settings) -> Iterator[str]:
    places = (str(settings.root), str(settings.run_root))
    yield from _mounts(places)
    yield from (f"link {n}" for n in os.listdir("/sys/class/net") if settings.instance in n)
    yield from _groups(settings.instance)
    yield from _tables(settings.instance)
    yield from _monitors(places)


def _mounts(places: tuple[str, ...]) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(places):
            yield f"mount {line.split()[4]}"


def _groups(instance: str) -> Iterator[str]:
    root = Path("/sys/fs/cgroup")
    for pattern in (f"lading-{instance}*", f"*/lading-{instance}*"):
        yield from (f"cgroup {group}" for group in root.glob(pattern) if group.is_dir())


def _tables(instance: str) -> Iterator[str]:
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    yield from (f"nft {line}" for line in listed.stdout.splitlines() if instance in line)


def _monitors(places: tuple[str, ...]) -> Iterator[str]:
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = command.read_bytes()
            ours = any(name in words.split(b"\0")[0] for name in (b"conmon", b"aardvark-dns"))
            if ours and any(p.encode() in words for p in places):
                yield f"process {command.parent.name}: {words!r}"
