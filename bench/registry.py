#!/usr/bin/env python3
"""Compare `lading registry serve` with Debian's docker-registry: the same requests in one run.

Both keep their things on the same file system and answer on loopback.  Each number is the
best of a few; ratios count, not seconds: ours over theirs.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

MIB = 1024 * 1024
SIZE = 300 * MIB
CLIENTS = 32
TAGS = 1000
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Server:
    """One registry process, and the requests of the comparison."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """One request on a connection of its own, its answer read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, blocksize=MIB)
        connection.request(method, path, body, dict(headers or {}))  # type: ignore[arg-type]  # files too
        response = connection.getresponse()
        response.read()
        if response.status >= 400:
            raise SystemExit(f"{method} {path}: {response.status}")
        return response

    def push(self, repository: str, file: Path, digest: str) -> None:
        """The blob as Docker pushes it: POST, one PATCH, PUT."""
        path = _location(self.ask("POST", f"/v2/{repository}/blobs/uploads/"))
        length = {"Content-Length": str(file.stat().st_size)}
        with file.open("rb") as body:
            path = _location(self.ask("PATCH", path, body, length))
        self.ask("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}")

    def pull(self, repository: str, digest: str) -> None:
        """The blob, thrown away as it comes."""
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            path = f"/v2/{repository}/blobs/{digest}"
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            buffer, count = bytearray(MIB), 0
            while got := client.recv_into(buffer):
                count += got
        if count < SIZE:
            raise SystemExit(f"GET {path}: {count} bytes")

    def pull_by_many(self, repository: str, digest: str) -> None:
        clients = [
            threading.Thread(target=self.pull, args=(repository, digest)) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    @property
    def peak(self) -> float:
        """The most memory that it had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def running(words: list[str], port: int, log: Path) -> Iterator[Server]:
    """The server that *words* start, once it answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        server = Server(process, port)
        deadline = time.monotonic() + 20
        while True:
            try:
                server.ask("GET", "/v2/")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(log.read_text()) from None
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


def compared(
    servers: Mapping[str, Server], times: int, job: Callable[[Server, int], object]
) -> dict[str, float]:
    """The seconds of each server's fastest of so many runs, in turn."""
    found: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(times):
        for name, server in servers.items():
            os.sync()
            began = time.monotonic()
            job(server, number)
            found[name].append(time.monotonic() - began)
    return {name: min(seconds) for name, seconds in found.items()}


def rows(
    servers: Mapping[str, Server], blob: Path, config: Path
) -> Iterator[tuple[str, dict[str, float]]]:
    """Everything that is compared."""
    digest, empty = _digest(blob), _digest(config)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": EMPTY, "digest": empty, "size": config.stat().st_size},
        "layers": [],
    }
    raw = json.dumps(document).encode()

    def tag(server: Server, _: int) -> None:
        server.push("bench/tags", config, empty)
        for number in range(TAGS):
            path = f"/v2/bench/tags/manifests/t{number}"
            server.ask("PUT", path, raw, {"Content-Type": MANIFEST})

    def pull_by_many(server: Server, _: int) -> None:
        server.pull_by_many("bench/p0", digest)

    def listed(server: Server, _: int) -> None:
        server.ask("GET", "/v2/bench/tags/tags/list")

    yield "push 300 MiB", compared(servers, 3, lambda s, n: s.push(f"bench/p{n}", blob, digest))
    yield "pull 300 MiB", compared(servers, 5, lambda s, n: s.pull("bench/p0", digest))
    yield f"{CLIENTS} clients pull", compared(servers, 2, pull_by_many)
    yield f"push {TAGS} tags", compared(servers, 1, tag)
    yield f"list {TAGS} tags", compared(servers, 20, listed)
    yield "memory (MiB)", {name: server.peak for name, server in servers.items()}


def main() -> int:
    work = Path(tempfile.mkdtemp(prefix="lading-bench-"))
    try:
        blob, config = work / "blob", work / "config"
        with blob.open("wb") as file:
            for _ in range(SIZE // MIB):
                file.write(os.urandom(MIB))
        config.write_bytes(b"{}")
        with ExitStack() as ending:
            servers = {
                name: ending.enter_context(running(words, port, work / f"{name}.log"))
                for name, words, port in _servers(work)
            }
            print(f"{'':22}{'ours':>10}{'theirs':>10}{'ratio':>8}")
            for what, found in rows(servers, blob, config):
                ours, theirs = found["ours"], found["theirs"]
                print(f"{what:22}{ours:10.3f}{theirs:10.3f}{ours / theirs:8.2f}", flush=True)
    finally:
        shutil.rmtree(work)
    return 0


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def _servers(work: Path) -> Iterator[tuple[str, list[str], int]]:
    if shutil.which("docker-registry") is None:
        raise SystemExit("install Debian's docker-registry")
    port = _free_port()
    configuration = work / "theirs.yml"
    configuration.write_text(_CONFIG.format(root=work / "theirs", port=port))
    yield "theirs", ["docker-registry", "serve", str(configuration)], port
    port = _free_port()
    line = [sys.executable, "-m", "lading", "registry", "serve", "--root", str(work / "ours")]
    yield "ours", [*line, "--addr", f"127.0.0.1:{port}"], port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _location(response: http.client.HTTPResponse) -> str:
    parts = urlsplit(str(response.getheader("Location")))
    return parts.path + (f"?{parts.query}" if parts.query else "")


if __name__ == "__main__":
    sys.exit(main())
