"""Names on user networks, answered by aardvark-dns: its files, and its processes.

A server runs while containers are on a network it answers for, outlives the engine, and
is found again by the file it leaves its PID in.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from lading.errors import Unavailable, Unsupported
from lading.linux.process import ProcessRef, reap
from lading.network import nametext
from lading.network.asking import await_name
from lading.network.nametext import Files, Told

_LOG = logging.getLogger(__name__)
_PROGRAM = "aardvark-dns"
_PLACES = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/libexec/podman")
_PID_FILE = "aardvark.pid"
_PORT = "53"
_SECONDS = 10.0
_DEATH_SECONDS = 2.0
_READING_SECONDS = 3.0  # that a server may take to go by what it is told
_ASKS_NOBODY = {"AARDVARK_NO_PROXY": "1"}


class NoNameServer(Unsupported):
    """Raised where the host has no aardvark-dns."""

    def __init__(self) -> None:
        super().__init__(f"names on user networks need {_PROGRAM}: install the package {_PROGRAM}")


class NameServerFailed(Unavailable):
    """Raised where aardvark-dns does not start, or does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{_PROGRAM} does not work: {reason}")


def program() -> str:
    """Where aardvark-dns is; NoNameServer."""
    found = shutil.which(_PROGRAM, path=os.pathsep.join([*_PLACES, os.environ.get("PATH", "")]))
    if found is None:
        raise NoNameServer
    return found


class Names:
    """Both servers of one engine; thread safe."""

    def __init__(self, directory: Path, source: Callable[[], Told]) -> None:
        """*source*: what is to be answered at the moment of the call."""
        self._source = source
        self._directory = directory
        self._leading_out = _Server(directory / "open", {})
        self._closed = _Server(directory / "closed", _ASKS_NOBODY)
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._wanted = 0
        self._told = 0

    def tell(self) -> None:
        """Have what *source* says now answered from the return on.

        Those who come while others wait are served together.  NoNameServer, NameServerFailed,
        OSError.
        """
        with self._counting:
            self._wanted += 1
            mine = self._wanted
        with self._lock:
            if self._told >= mine:
                return
            with self._counting:
                latest = self._wanted
            told = self._source()
            self._leading_out.serve(told.leading_out)
            self._closed.serve(told.closed)
            self._told = latest

    def clear(self) -> None:
        """End both servers and remove their files.  Idempotent."""
        with self._lock:
            for server in (self._leading_out, self._closed):
                server.clear()
            with suppress(FileNotFoundError):
                self._directory.rmdir()


class _Server:
    """One process, and the directory that it reads."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = environment

    def serve(self, files: Files) -> None:
        if not files:
            self.clear()
            return
        changed = self._write(files)
        running = self._running()
        if running is None:
            self._start()
        elif changed:
            running.kill(signal.SIGHUP)
        else:
            return
        for text in files.values():
            server, name = nametext.mark(text)
            if not await_name(server, name, _READING_SECONDS):
                raise NameServerFailed(f"nobody answers at {server}, port {_PORT}")

    def clear(self) -> None:
        if not self._directory.is_dir():
            return
        running = self._running()
        if running is not None:
            _end(running)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _write(self, files: Files) -> bool:
        """Make the directory hold just these; whether anything changed."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = {p.name: p for p in self._directory.iterdir() if p.name != _PID_FILE}
        changed = False
        for name, path in there.items():
            if name not in files:
                path.unlink(missing_ok=True)
                changed = True
        for name, text in files.items():
            if name not in there or there[name].read_text() != text:
                self._replace(name, text)
                changed = True
        return changed

    def _replace(self, name: str, text: str) -> None:
        # Written elsewhere: the server reads every file of the directory.
        unfinished = self._directory.parent / f".{self._directory.name}"
        unfinished.write_text(text)
        unfinished.rename(self._directory / name)

    def _start(self) -> None:
        command = [program(), "-c", str(self._directory), "-p", _PORT, "run"]
        (self._directory / _PID_FILE).unlink(missing_ok=True)
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **self._environment},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise NameServerFailed("no answer") from None
        if done.returncode != 0:
            raise NameServerFailed(f"exit status {done.returncode}")

    def _running(self) -> ProcessRef | None:
        """The server for this directory, and surely no other process."""
        try:
            pid = int((self._directory / _PID_FILE).read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        found = ProcessRef.of(pid)
        if found is None or os.fsencode(self._directory) not in words or not found.alive():
            return None
        return found


def _end(running: ProcessRef) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        running.kill(number)
        if running.wait(_DEATH_SECONDS):
            reap(running.pid)
            return
    _LOG.error("%s (%d) cannot be ended", _PROGRAM, running.pid)
