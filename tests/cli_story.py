"""lading's own command, as users type it, against a real daemon: for tests."""

from __future__ import annotations

import fcntl
import http.client
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine_daemon import BUSYBOX, Daemon

PROGRAM = str(Path(sys.executable).with_name("lading"))
PATIENCE = 20.0  # seconds until what must come has come
ROWS, COLUMNS = 31, 91
Done = subprocess.CompletedProcess


class Story:
    """Commands against one daemon: ``lading("ps", "-a")`` fails where the command does."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.environment = {**os.environ, "LADING_HOST": daemon.settings.host, "TERM": "xterm"}

    def __call__(self, *words: str, check: int = 0, **options: Any) -> Done[str]:
        done: Done[str] = self.daemon.lading(*words, **options)
        assert done.returncode == check, f"lading {' '.join(words)}: {done}"
        return done

    def out(self, *words: str, **options: Any) -> str:
        """What the command prints, without the last line's end."""
        return self(*words, **options).stdout.rstrip("\n")

    def raw(self, *words: str, **options: Any) -> bytes:
        """The bytes that the command prints; its input may be bytes too."""
        done: Any = self(*words, text=False, **options)
        printed: bytes = done.stdout
        return printed

    def shell(self, script: str, *options: str, **more: Any) -> str:
        """What *script* prints in a container of its own, made with these options of run."""
        return self.out("run", "--rm", *options, "busybox", "sh", "-c", script, **more)

    def field(self, container: str, template: str) -> str:
        return self.out("inspect", "-f", template, container)

    @contextmanager
    def beside(self, *words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """The command, still running; killed if the test leaves it so, or waits too long."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        with subprocess.Popen([PROGRAM, *words], env=self.environment, **options) as process:
            watchdog = threading.Timer(3 * PATIENCE, process.kill)
            watchdog.start()
            try:
                yield process
            finally:
                watchdog.cancel()
                process.kill()

    @contextmanager
    def terminal(self, *words: str) -> Iterator[Terminal]:
        """The command in a terminal of its own."""
        terminal = Terminal([PROGRAM, *words], self.environment)
        try:
            yield terminal
        finally:
            terminal.close()

    def tidy(self) -> None:
        """Remove what a test made; the image busybox is there again."""
        self.daemon.remove_containers()
        client = self.daemon.client
        images = client.get("/images/json", all=1).json()
        for image in images:
            for name in image["RepoTags"] or [image["Id"]]:
                if name != BUSYBOX:
                    client.delete(f"/images/{name}", force=1)
        if not any(BUSYBOX in (image["RepoTags"] or ()) for image in images):
            self.daemon.load_busybox()


class Terminal:
    """A command in a terminal of 31 rows and 91 columns that it controls."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.resize(ROWS, COLUMNS)
        self.shown = ""
        self._child = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, wanted: str) -> str:
        """Wait until *wanted* is shown; all that was shown since the last wait."""
        shown = self._read(lambda text: wanted in text)
        assert wanted in shown, f"{wanted!r} does not come: {self.shown!r}"
        return shown

    def end(self) -> int:
        """Wait for the command's end; its exit code."""
        self._read(lambda text: False)
        return self._child.wait(PATIENCE)

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._master)

    def _read(self, enough: Callable[[str], bool]) -> str:
        text = ""
        deadline = time.monotonic() + PATIENCE
        while not enough(text) and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    piece = os.read(self._master, 65536).decode(errors="replace")
                except OSError:  # nobody holds the other side any more
                    break
                text += piece
                self.shown += piece
        return text


def eventually(holds: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until *holds* does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.03)


def fetch(port: int, address: str = "127.0.0.1", path: str = "/") -> str:
    """What an HTTP server says, once it is up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(address, port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        assert time.monotonic() < deadline, f"nobody answers at {address}:{port}"
        time.sleep(0.05)
