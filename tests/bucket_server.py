"""A real S3 server, rclone's, started for tests on a port of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, socket

import pytest

KEY, SECRET = "ladingkey", "ladingsecret"


@dataclass(frozen=True)
class BucketServer:
    """Where it is, and where it keeps the bucket."""

    endpoint: str
    files: Path
    bucket: str = "backups"

    @property
    def options(self) -> dict[str, str]:
        """What opens it, as obstore calls it."""
        return {"access_key_id": KEY, "secret_access_key": SECRET, "endpoint": self.endpoint}

    @property
    def environment(self) -> dict[str, str]:
        """The same in the usual variables."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
        }


@contextmanager
def bucket_server(folder: Path) -> Iterator[BucketServer]:
    """A server below *folder* with one bucket."""
    beside = Path(sys.executable).parent / "rclone"
    rclone = str(beside) if beside.exists() else shutil.which("rclone")
    if rclone is None:
        pytest.skip("rclone is not installed")
    files = folder / "files"
    (files / "backups").mkdir(parents=True)
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        *(rclone, "serve", "s3", str(files), "--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"),
        *("--vfs-cache-mode", "off"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield BucketServer(f"http://127.0.0.1:{port}", files)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("rclone does not listen")
