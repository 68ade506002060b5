"""conmon, the small process that stays with each container and outlives this daemon.

It holds the container's stdio, writes its log, serves its attach socket and keeps its exit
code.  This module launches it and talks to it through what it leaves in the bundle:
`attach` (a SEQPACKET socket), `ctl` (a fifo for window sizes and log rotation), `pidfile`.
conmon 2.1.6, its src/conn_sock.c and src/ctrl.c, say what passes through them.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lading.errors import NotFound
from lading.linux.listeners import waiting
from lading.linux.process import ProcessRef
from lading.runtime.bundle import write_private
from lading.runtime.failures import MonitorFailed, RuntimeFailed, failure, last_error

CONMON = "/usr/bin/conmon"
STDOUT = 2  # the first byte of each packet that conmon sends
STDERR = 3
MOST_PACKET = 8193  # the stream's byte, and what conmon reads at once
MOST_INPUT = 8192  # a longer packet than conmon's buffer would lose its end
_LARGEST_WINDOW = 1000  # conmon drops a message with a larger number
_RESIZE = 1
_REOPEN = 2
_SECONDS = 120.0  # that a runtime may take to make a container
_LONGEST_SOCKET = 107  # sun_path, without its end
_PAUSE = 0.0005
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Runtime(Protocol):
    """What conmon must know of the runtime it calls."""

    @property
    def path(self) -> str: ...

    def arguments(self, log: Path) -> list[str]: ...

    def shelter(self, pid: int) -> None: ...


class NotAttachable(NotFound):
    """Raised where no monitor listens any more: the process has ended."""

    def __init__(self, bundle: Path) -> None:
        super().__init__(f"no process to attach to: {bundle.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLaunch:
    """A container to create; it waits for `start` before it runs its command."""

    id: str
    bundle: Path  # holds config.json; conmon's socket, fifos and pid file come beside it
    persist: Path  # where the exit code is kept (`exit`), and whether memory ran out (`oom`)
    log: Path | None
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False  # close stdin when the first client that was attached leaves
    pass_fds: tuple[int, ...] = ()  # held open by conmon alone, until the container ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecLaunch:
    """A further process for a running container."""

    id: str  # of the exec
    container: str
    bundle: Path  # the exec's own directory
    process: dict[str, Any]  # as `spec.process` makes it
    terminal: bool = False
    stdin: bool = False


@dataclass(frozen=True, slots=True)
class Launched:
    """The process in the container, and the monitor that waits for it."""

    process: ProcessRef
    monitor: ProcessRef


def launch(runtime: Runtime, container: ContainerLaunch) -> Launched:
    """Create the container: its command waits, its attach socket listens.

    Raises RuntimeFailed with Docker's words; the caller then deletes what the runtime left.
    """
    _forget_exit(container.persist)
    arguments = [
        *_arguments(runtime, container.id, container.id, container.bundle),
        f"--persist-dir={container.persist}",
        f"--log-path={'k8s-file:' + str(container.log) if container.log else 'none'}",
    ]
    if container.stdin:
        arguments.append("--stdin")
        arguments += [] if container.stdin_once else ["--leave-stdin-open"]
    if container.terminal:
        arguments.append("--terminal")
    with _Start(arguments, container.bundle, container.pass_fds) as start:
        runtime.shelter(start.pid)
        return start.launched("create")


def launch_exec(
    runtime: Runtime, exec_: ExecLaunch, on_attachable: Callable[[Path], None] | None = None
) -> Launched:
    """Run one more process in a running container.

    *on_attachable* is called with the bundle when the attach socket listens and the process
    has not begun, so that a client that connects in it misses no output.  Raises RuntimeFailed.
    """
    exec_.bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
    spec = exec_.bundle / "process.json"
    write_private(spec, exec_.process)
    _forget_exit(exec_.bundle)
    arguments = [
        *_arguments(runtime, exec_.container, exec_.id, exec_.bundle),
        "--exec",
        "--exec-attach",
        f"--exec-process-spec={spec}",
        f"--persist-dir={exec_.bundle}",
        "--log-path=none",
    ]
    arguments += ["--stdin"] if exec_.stdin else []
    arguments += ["--terminal"] if exec_.terminal else []
    with _Start(arguments, exec_.bundle, (), attach=True) as start:
        runtime.shelter(start.pid)
        start.attachable(on_attachable)
        return start.launched("exec")


def _arguments(runtime: Runtime, container: str, own: str, bundle: Path) -> list[str]:
    return [
        CONMON,
        "--api-version=1",
        "--sync",  # one process less to start: conmon is then this process's own child
        f"--cid={container}",
        f"--cuuid={own}",
        f"--runtime={runtime.path}",
        f"--bundle={bundle}",
        "--full-attach",
        f"--container-pidfile={bundle / 'pidfile'}",
        "--log-level=error",
        "--no-sync-log",
        *(f"--runtime-arg={argument}" for argument in runtime.arguments(bundle / "oci.log")),
    ]


def _forget_exit(persist: Path) -> None:
    """A code from the run before must never be taken for this one's."""
    for name in ("exit", "oom"):
        (persist / name).unlink(missing_ok=True)


class _Start:
    """One conmon coming up: its pipes, and what it says on them."""

    def __init__(
        self, arguments: Sequence[str], bundle: Path, fds: tuple[int, ...], *, attach: bool = False
    ) -> None:
        self._bundle = bundle
        self._deadline = time.monotonic() + _SECONDS
        self._heard = b""
        with ExitStack() as undo:
            self._sync, sync_child = _pipe(undo)
            start_child, self._go = _pipe(undo)
            pipes = {"_OCI_SYNCPIPE": sync_child, "_OCI_STARTPIPE": start_child}
            self._attach = -1
            if attach:
                self._attach, pipes["_OCI_ATTACHPIPE"] = _pipe(undo)
            (bundle / "oci.log").unlink(missing_ok=True)
            self._conmon = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(*fds, *pipes.values()),
                env=_environment(pipes, bundle),
                start_new_session=True,
                cwd="/",
            )
            undo.pop_all()
        for fd in pipes.values():
            os.close(fd)

    @property
    def pid(self) -> int:
        return self._conmon.pid

    def __enter__(self) -> _Start:
        self._allow()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        for fd in (self._sync, self._go, self._attach):
            if fd >= 0:
                os.close(fd)
        assert self._conmon.stderr
        self._conmon.stderr.close()
        if failed:
            # The runtime is killed with it: conmon has asked the kernel for that.
            self._conmon.kill()
            self._conmon.wait()
        # It lives on without us; whoever watches it by its pidfd reaps it.
        self._conmon.returncode = 0

    def _allow(self) -> None:
        """Let conmon take its next step."""
        with suppress(BrokenPipeError):
            os.write(self._go, b"\n")

    def attachable(self, on_attachable: Callable[[Path], None] | None) -> None:
        """Wait until the attach socket listens, tell, and let the runtime begin."""
        if self._message(self._attach, "exec") and on_attachable:
            on_attachable(self._bundle)
        self._allow()

    def launched(self, verb: str) -> Launched:
        """What conmon says came of it."""
        answer = self._message(self._sync, verb)
        pid = int(answer.get("data", -1)) if answer else -1
        if pid <= 0:
            raise self._failure(verb, answer)
        process = ProcessRef.of(pid) or ProcessRef(pid, 0)
        monitor = ProcessRef.of(self._conmon.pid)
        if monitor is None:
            raise MonitorFailed(f"conmon ended at once: {self._complaint()}")
        return Launched(process, monitor)

    def _message(self, fd: int, verb: str) -> dict[str, Any] | None:
        """The next line of JSON on *fd*; None when conmon is gone."""
        line = b""
        while not line.endswith(b"\n"):
            left = self._deadline - time.monotonic()
            if left <= 0 or not _readable(fd, left):
                raise RuntimeFailed(f"OCI runtime {verb} failed: no answer in {_SECONDS:.0f} s")
            piece = os.read(fd, 1)
            if not piece:
                return None
            line += piece
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else None

    def _failure(self, verb: str, answer: dict[str, Any] | None) -> RuntimeFailed:
        told = last_error(self._bundle / "oci.log")
        told = told or (str(answer.get("message") or "") if answer else "")
        return failure(verb, told) if told else MonitorFailed(f"conmon failed: {self._complaint()}")

    def _complaint(self) -> str:
        stderr = self._conmon.stderr
        assert stderr
        if not _readable(stderr.fileno(), 1.0):
            return "it said nothing"
        text = os.read(stderr.fileno(), 4096).decode(errors="replace").strip()
        return text or "it said nothing"


def _readable(fd: int, seconds: float) -> bool:
    """Whether there is something to read in time; for descriptors of any number."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _pipe(undo: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for fd in ends:
        undo.callback(os.close, fd)
    return ends


def _environment(pipes: dict[str, int], bundle: Path) -> dict[str, str]:
    """All that conmon and the runtime see of the environment; TZ is for the log's times."""
    fixed = {"PATH": _PATH, "TZ": "UTC", "TMPDIR": str(_short_directory(bundle))}
    return {**fixed, **{name: str(fd) for name, fd in pipes.items()}}


def _short_directory(bundle: Path) -> Path:
    """Where conmon may put its console socket, whose path the kernel limits."""
    fits = len(str(bundle)) + len("/conmon-term.XXXXXX") <= _LONGEST_SOCKET
    return bundle if fits else Path("/tmp")


def connect(bundle: Path) -> socket.socket:
    """A connection to the attach socket; NotAttachable when the process has ended.

    Each packet received is one byte, STDOUT or STDERR, and up to 8192 bytes of output.  Each
    packet sent, of at most MOST_INPUT bytes, is input; shutting down writing ends the input.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # However long the bundle's path is, this one fits into a socket's address.
            client.connect(f"/proc/self/fd/{directory}/attach")
        finally:
            os.close(directory)
    except (FileNotFoundError, ConnectionRefusedError):
        client.close()
        raise NotAttachable(bundle) from None
    return client


def settle(bundle: Path, seconds: float = 0.5) -> bool:
    """Wait until a created container's monitor has taken in everybody who connected.

    It accepts one client at a time, between which a quick command's output would go to the
    earlier ones only: to be called before the start.  False when it did not in time.
    """
    deadline = time.monotonic() + seconds
    while waiting(bundle / "attach"):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def resize(bundle: Path, rows: int, columns: int) -> None:
    """Set the terminal's size; nothing when the process has ended."""
    _control(bundle, _RESIZE, min(rows, _LARGEST_WINDOW), min(columns, _LARGEST_WINDOW))


def reopen_log(bundle: Path) -> None:
    """Make conmon go on in a new log file.

    It replaces the file at the log's path, so that one must have another name by then.
    """
    _control(bundle, _REOPEN, 0, 0)


def _control(bundle: Path, kind: int, first: int, second: int) -> None:
    try:
        fd = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, OSError):
        return
    try:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(fd, f"{kind} {first} {second}\n".encode())
    finally:
        os.close(fd)


def exit_code(persist: Path) -> int | None:
    """The exit code that conmon left; None while the process runs, or when it was lost."""
    try:
        return int((persist / "exit").read_text())
    except (FileNotFoundError, ValueError):
        return None
