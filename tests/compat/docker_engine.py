"""Docker Engine from Debian's packages, on a root and in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine_client import Client

_SECONDS = 30.0
DOCKERD = shutil.which("dockerd") or "/usr/sbin/dockerd"


@contextmanager
def docker_engine() -> Iterator[Client]:
    """A client of a running dockerd, which is gone without a trace afterwards."""
    home = Path(tempfile.mkdtemp(prefix="dockerd-"))
    space = home.name
    socket = home / "docker.sock"
    places = ["--data-root", f"{home}/root", "--exec-root", f"{home}/exec", "-p", f"{home}/pid"]
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        subprocess.run(["ip", "-n", space, "link", "set", "lo", "up"], check=True)
        words = ["nsenter", f"--net=/run/netns/{space}", DOCKERD, *places, "-H", f"unix://{socket}"]
        with (home / "log").open("wb") as log:
            daemon = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            client = Client(str(socket), "v1.41")
            _wait_for(client, daemon, home / "log")
            yield client
            _remove_everything(client)
        finally:
            _stop(daemon)
    finally:
        subprocess.run(["ip", "netns", "del", space], check=False)
        _unmount(home)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(client: Client, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        with suppress(OSError):
            if client.get("/_ping").status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"dockerd does not come up: {log.read_text()[-2000:]}")


def _remove_everything(client: Client) -> None:
    for each in client.get("/containers/json", all=1).json():
        client.delete(f"/containers/{each['Id']}", force=1, v=1)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def _unmount(home: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    inside = [line.split()[4] for line in mounts if line.split()[4].startswith(f"{home}/")]
    for point in sorted(inside, reverse=True):
        subprocess.run(["umount", "-l", point], check=False)
