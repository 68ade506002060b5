"""Start the daemon for a user who has not, and wait until it listens.

It gets a session and a control group of its own, so that it outlives the terminal and
whatever service or login the command runs in.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lading.cli import http
from lading.cli.faults import Fault

RUN = Path("/run/lading")
_PATIENCE = 60.0  # seconds; after a crash the daemon may have much to tidy
_LAST_LINES = 5
_CGROUPS = Path("/sys/fs/cgroup")
_GROUP = "lading-daemon"


def start(host: str) -> None:
    """Start the daemon of the default root behind *host*; returns when it listens, else Fault."""
    socket = host.removeprefix("unix://")
    with _alone():
        if _listens(socket):
            return  # another command was faster
        if os.geteuid() != 0:
            raise Fault(f"cannot start the lading daemon at {host}: run this as root")
        _wait(_launch(), socket)


@contextmanager
def _alone() -> Iterator[None]:
    """One command at a time starts the daemon; the others wait and find it."""
    try:
        RUN.mkdir(mode=0o710, parents=True, exist_ok=True)
        lock = os.open(RUN / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise Fault("cannot start the lading daemon: run this as root") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _launch() -> subprocess.Popen[bytes]:
    # -P: a directory called lading in the current one must not be taken for us.
    command = [sys.executable, "-P", "-m", "lading", "daemon"]
    environment = {k: v for k, v in os.environ.items() if k not in ("LADING_HOST", "LADING_DEBUG")}
    log = os.open(RUN / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(log)
    for group in _groups():
        _move(daemon.pid, group)
    return daemon


def _groups() -> list[Path]:
    """The daemon's own group in each hierarchy: the unified one, or every one of version 1."""
    if (_CGROUPS / "cgroup.procs").exists():
        return [_CGROUPS / _GROUP]
    try:
        mounted = sorted(path for path in _CGROUPS.iterdir() if path.is_dir())
    except OSError:
        return []
    return [path / _GROUP for path in mounted if (path / "cgroup.procs").exists()]


def _move(pid: int, group: Path) -> None:
    try:
        group.mkdir(exist_ok=True)
        if group.parent.name == "cpuset":
            for name in ("cpuset.cpus", "cpuset.mems"):  # empty at first, and useless so
                (group / name).write_text((group.parent / name).read_text())
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        pass  # it stays where the command is: it works, it may only end with the login


def _wait(daemon: subprocess.Popen[bytes], socket: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _listens(socket):
        if daemon.poll() is not None:
            raise Fault(f"the lading daemon did not start (exit {daemon.returncode}){_log()}")
        if time.monotonic() > deadline:
            raise Fault(f"the lading daemon does not listen after {_PATIENCE:.0f} s{_log()}")
        time.sleep(0.01)


def _listens(socket: str) -> bool:
    try:
        http.connect(socket).close()
    except OSError:
        return False
    return True


def _log() -> str:
    """The last words of the daemon's log."""
    try:
        lines = (RUN / "daemon.log").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "; its log ends:\n  " + "\n  ".join(lines[-_LAST_LINES:]) if lines else ""
