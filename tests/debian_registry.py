"""Debian's docker-registry, started for tests on a port of its own."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = "docker-registry"
USER, PASSWORD = "me", "secret"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"


@dataclass(frozen=True)
class DebianRegistry:
    """Where it is."""

    host: str

    def digest(self, repository: str, tag: str) -> str:
        """What a tag names there."""
        connection = http.client.HTTPConnection(self.host, timeout=10)
        kind = "application/vnd.oci.image.manifest.v1+json"
        docker = "application/vnd.docker.distribution.manifest.v2+json"
        headers = {"Accept": f"{kind}, {docker}"}
        try:
            connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=headers)
            return str(connection.getresponse().headers["Docker-Content-Digest"])
        finally:
            connection.close()


@contextmanager
def debian_registry(
    folder: Path, *, users: bool = False, tls: tuple[Path, Path] | None = None
) -> Iterator[DebianRegistry]:
    """A registry below *folder*; with a login, and with certificate and key where wanted."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("docker-registry is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{_free_port()}"
    web: dict[str, object] = {"addr": host}
    config: dict[str, object] = {
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
        },
        "http": web,
        "log": {"level": "error"},
    }
    if users:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    if tls:
        web["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    path = folder / "config.yml"
    path.write_text(json.dumps(config))  # which is YAML too
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", str(path)], stdout=log, stderr=log)
    try:
        _wait(host, process)
        yield DebianRegistry(host)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(host: str, process: subprocess.Popen[bytes]) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, "docker-registry ended"
        with suppress(OSError), socket.create_connection((name, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError("docker-registry does not listen")
