"""The daemon that Docker's own clients talk to, and those clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon

pytest_plugins: list[str] = []
Docker = Callable[..., "subprocess.CompletedProcess[str]"]
_PROGRAMS = ("/usr/local/bin/docker", "/usr/bin/docker")


def _programs() -> list[str]:
    """Every docker command on this machine, once."""
    found: dict[str, str] = {}
    for path in (*_PROGRAMS, shutil.which("docker") or ""):
        if path and Path(path).exists():
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


@pytest.fixture(params=_programs() or [None], ids=str)
def docker(request: pytest.FixtureRequest, daemon: Daemon) -> Docker:
    """Run a docker command against the daemon: ``docker("ps", "-a")``; fails when it fails."""
    if request.param is None:
        pytest.skip("no docker command is installed")

    def run(*words: str, check: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = daemon.docker(
            *words, program=request.param, **options
        )
        if check is not None:
            assert done.returncode == check, f"docker {' '.join(words)}: {done}"
        return done

    return run
