"""Debian's sshd, started for tests on a port of its own, with keys of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, socket

import pytest

SSHD = "/usr/sbin/sshd"
_SEPARATED = Path("/run/sshd")  # where sshd wants an empty directory


@dataclass(frozen=True)
class SshServer:
    """Where it is; *bin* has an ``ssh`` that knows its keys, and is to be first in PATH.

    ``pid`` beside it has the number of the latest one.
    """

    port: int
    bin: Path

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def ssh_server(folder: Path, forced: str = "internal-sftp") -> Iterator[SshServer]:
    """An sshd below *folder* that runs nothing but *forced*."""
    ssh = shutil.which("ssh")
    if ssh is None or not os.path.exists(SSHD):
        pytest.skip("openssh-server is not installed")
    if os.geteuid():
        pytest.skip("sshd wants root")
    folder.mkdir()
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    port = _free_port()
    shutil.copy(folder / "user.pub", folder / "authorized")
    config = _server_config(folder, port, forced)
    client = _client_config(folder, port)
    (folder / "bin").mkdir()
    wrapper = _write(
        folder / "bin" / "ssh",
        "#!/bin/sh",
        f'echo $$ >{folder}/bin/pid; exec {ssh} -F {client} "$@"',
    )
    wrapper.chmod(0o755)
    was_there = _SEPARATED.exists()
    _SEPARATED.mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield SshServer(port, folder / "bin")
    finally:
        process.terminate()
        process.wait()
        if not was_there:
            with suppress(OSError):
                _SEPARATED.rmdir()


def _server_config(folder: Path, port: int, forced: str) -> Path:
    return _write(
        folder / "sshd_config",
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        f"PidFile {folder}/pid",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "StrictModes no",
        "UsePAM yes",
        "Subsystem sftp internal-sftp",
        f"ForceCommand {forced}",
    )


def _client_config(folder: Path, port: int) -> Path:
    _write(folder / "known", f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    return _write(
        folder / "ssh_config",
        f"IdentityFile {folder}/user",
        "IdentitiesOnly yes",
        f"UserKnownHostsFile {folder}/known",
        "GlobalKnownHostsFile /dev/null",
    )


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("sshd does not listen")
