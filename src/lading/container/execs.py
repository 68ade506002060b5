"""Further processes in running containers: made, started, watched, forgotten.

An exec is remembered in memory, and while it runs in RUN too, where an engine that comes
after this one finds it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from lading.container import blueprint
from lading.container.announcing import Announcer
from lading.container.limits import USUAL_RLIMITS, rlimits
from lading.container.options import ExecConfig
from lading.container.places import Places
from lading.container.record import Container
from lading.container.roster import Roster
from lading.container.states import Action, State, WrongState, after
from lading.container.supervisor import Supervisor
from lading.container.waiting import Cancel, OnSocket, Until, Waiting
from lading.errors import Conflict, Invalid, NotFound
from lading.linux.process import ProcessRef
from lading.runtime import conmon, roots, security, users
from lading.runtime.conmon import ExecLaunch, Launched
from lading.runtime.failures import RuntimeFailed
from lading.runtime.oci import Runtime
from lading.runtime.rlimits import attainable
from lading.runtime.spec import ProcessRequest, process

_LOG = logging.getLogger(__name__)
_RECORD = "exec.json"
_REMEMBERED = 300.0  # seconds after its end
_PROBE_REMEMBERED = 5.0
_KILLED = 137


class ExecNotFound(NotFound):
    """Raised for an ID that no exec has, or that was forgotten."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"No such exec instance: {exec_id[:80]}")


class ExecHasRun(Conflict):
    """Raised for starting an exec twice."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"Error: Exec command {exec_id} has already run")


class NoExecCommand(Invalid):
    """Raised for an exec without a command."""

    def __init__(self) -> None:
        super().__init__("No exec command specified")


class Exec(msgspec.Struct, frozen=True):
    """One further process."""

    id: str  # 64 hex digits
    container_id: str
    config: ExecConfig
    started: bool = False
    process: ProcessRef | None = None
    monitor: ProcessRef | None = None
    exit_code: int | None = None  # None until it has ended
    probe: bool = False  # a health check: nobody but this engine waits for it

    @property
    def running(self) -> bool:
        return self.process is not None and self.exit_code is None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process and self.running else 0


class _Slot:
    def __init__(self, exec_: Exec) -> None:
        self.exec = exec_
        self.waiting = Waiting()


class Execs:
    """The execs of all containers."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        runtime: Runtime,
        supervisor: Supervisor,
        announcer: Announcer,
    ) -> None:
        self._places, self._roster, self._runtime = places, roster, runtime
        self._supervisor, self._announcer = supervisor, announcer
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def create(self, container_ref: str, config: ExecConfig, *, probe: bool = False) -> str:
        """The ID of a new exec, which waits for `start`; WrongState, NoExecCommand."""
        if not config.cmd or not config.cmd[0]:
            raise NoExecCommand
        with self._roster.locked(container_ref) as slot:
            container = slot.container
            after(container.state.status, Action.EXEC, container.id, container.name)
        exec_ = Exec(secrets.token_hex(32), container.id, config, probe=probe)
        with self._lock:
            self._slots[exec_.id] = _Slot(exec_)
        words = " ".join(config.cmd)
        self._announcer.tell(container, f"exec_create: {words}", execID=exec_.id)
        return exec_.id

    def start(
        self,
        exec_id: str,
        on_socket: OnSocket | None,
        *,
        console_size: Sequence[int] | None = None,
    ) -> None:
        """Run it: returns when the process runs.

        *on_socket* gets a connection to its streams before the process begins; None leaves
        it to itself.  WrongState, RuntimeFailed, ExecHasRun.
        """
        slot = self._slot(exec_id)
        container = self._roster.find(slot.exec.container_id).container
        after(container.state.status, Action.EXEC, container.id, container.name)
        self._take(slot)
        words = " ".join(slot.exec.config.cmd or ())
        self._announcer.tell(container, f"exec_start: {words}", execID=exec_id)
        try:
            launched = self._launch(slot.exec, container, on_socket, console_size)
        except Exception as error:
            code = error.exit_code if isinstance(error, RuntimeFailed) else 126
            self._end(slot, container, code)
            raise
        slot.exec = msgspec.structs.replace(
            slot.exec, process=launched.process, monitor=launched.monitor
        )
        self._write(slot.exec)
        self._supervisor.watch(launched.monitor, partial(self._has_ended, slot))

    def get(self, exec_id: str) -> Exec:
        """The exec as it is now: an end counts as soon as its exit code is there."""
        slot = self._slot(exec_id)
        if slot.exec.running:
            code = conmon.exit_code(self._places.exec_bundle(exec_id))
            if code is not None:
                return msgspec.structs.replace(slot.exec, exit_code=code)
        return slot.exec

    def of(self, container_id: str) -> list[str]:
        """The IDs of a container's running execs."""
        with self._lock:
            slots = list(self._slots.values())
        return [s.exec.id for s in slots if s.exec.container_id == container_id and s.exec.running]

    def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set its terminal's size; Conflict when it does not run."""
        exec_ = self.get(exec_id)
        # It may have written already while whoever started it has not heard that it runs.
        if not exec_.started or exec_.exit_code is not None:
            raise Conflict(f"exec process is not started: {exec_id}")
        conmon.resize(self._places.exec_bundle(exec_id), rows, columns)

    def detached(self, exec_id: str) -> None:
        """A client has left by its keys; the process goes on."""
        container = self._roster.find(self._slot(exec_id).exec.container_id).container
        self._announcer.tell(container, "exec_detach", execID=exec_id)

    def kill(self, exec_id: str, signum: int) -> None:
        """Signal its process; nothing where that has ended, or has not begun."""
        exec_ = self._slot(exec_id).exec
        if exec_.process and exec_.running:
            exec_.process.kill(signum)

    def watch(self, exec_id: str, callback: Callable[[int], None]) -> Cancel:
        """Call *callback* with the exit code, once, when it has ended."""
        slot = self._slot(exec_id)
        cancel = slot.waiting.for_end(Until.NEXT_EXIT, lambda code, _: callback(code))
        if slot.exec.exit_code is not None:
            slot.waiting.ended(slot.exec.exit_code)
        return cancel

    def forget(self, container_id: str) -> None:
        """The container is gone, and its execs with it."""
        with self._lock:
            gone = [s for s in self._slots.values() if s.exec.container_id == container_id]
            for slot in gone:
                del self._slots[slot.exec.id]

    def recover(self) -> None:
        """Take up those that an engine before this one started."""
        for directory in self._places.execs.iterdir():
            exec_ = _read(directory / _RECORD)
            if exec_ is None or exec_.monitor is None or not exec_.monitor.alive():
                shutil.rmtree(directory, ignore_errors=True)
                continue
            slot = _Slot(exec_)
            self._slots[exec_.id] = slot
            if exec_.probe:  # whoever waited for it is gone
                self.kill(exec_.id, signal.SIGKILL)
            self._supervisor.watch(exec_.monitor, partial(self._has_ended, slot))

    def _slot(self, exec_id: str) -> _Slot:
        with self._lock:
            slot = self._slots.get(exec_id)
        if slot is None:
            raise ExecNotFound(exec_id)
        return slot

    def _take(self, slot: _Slot) -> None:
        """It is started, by one caller alone."""
        with self._lock:
            if slot.exec.started:
                raise ExecHasRun(slot.exec.id)
            slot.exec = msgspec.structs.replace(slot.exec, started=True)

    def _launch(
        self,
        exec_: Exec,
        container: Container,
        on_socket: OnSocket | None,
        console_size: Sequence[int] | None,
    ) -> Launched:
        size = console_size or exec_.config.console_size
        launch = ExecLaunch(
            id=exec_.id,
            container=container.id,
            bundle=self._places.exec_bundle(exec_.id),
            process=process(_request(container, exec_.config, size)),
            terminal=exec_.config.tty,
            stdin=exec_.config.attach_stdin,
        )

        def attach(bundle: Path) -> None:
            if on_socket:
                on_socket(conmon.connect(bundle))

        return conmon.launch_exec(self._runtime, launch, attach)

    def _has_ended(self, slot: _Slot) -> None:
        code = conmon.exit_code(self._places.exec_bundle(slot.exec.id))
        with suppress(NotFound):
            container = self._roster.find(slot.exec.container_id).container
            self._end(slot, container, _KILLED if code is None else code)

    def _end(self, slot: _Slot, container: Container, code: int) -> None:
        slot.exec = msgspec.structs.replace(slot.exec, exit_code=code)
        self._announcer.tell(container, "exec_die", execID=slot.exec.id, exitCode=str(code))
        slot.waiting.ended(code)
        shutil.rmtree(self._places.exec_bundle(slot.exec.id), ignore_errors=True)
        seconds = _PROBE_REMEMBERED if slot.exec.probe else _REMEMBERED
        self._supervisor.after(seconds, partial(self._forget, slot.exec.id))

    def _forget(self, exec_id: str) -> None:
        with self._lock:
            self._slots.pop(exec_id, None)

    def _write(self, exec_: Exec) -> None:
        """Where the next engine finds it; one that ended already has no directory any more."""
        with suppress(FileNotFoundError):
            path = self._places.exec_bundle(exec_.id) / _RECORD
            path.write_bytes(msgspec.json.encode(exec_))


def _request(
    container: Container, config: ExecConfig, console_size: Sequence[int] | None
) -> ProcessRequest:
    """The process: in the container's surroundings, as whoever was asked for."""
    host = container.host
    options = security.parse(host.security_opt or (), has_apparmor=security.has_apparmor())
    cwd = config.working_dir or container.config.working_dir or "/"
    root_fd = roots.open_root(f"/proc/{container.pid}/root")
    try:
        if not (container.state.process and container.state.process.alive()):
            raise WrongState(State.EXITED, Action.EXEC, container.id, container.name)
        user = users.resolve(root_fd, config.user or container.config.user, host.group_add or ())
        roots.check_working_directory(root_fd, cwd)
    finally:
        os.close(root_fd)
    return ProcessRequest(
        argv=tuple(config.cmd or ()),
        env=tuple(
            blueprint.environment(container, user.home, terminal=config.tty, extra=config.env or ())
        ),
        cwd=cwd,
        user=user,
        terminal=config.tty,
        console_size=blueprint.console(console_size),
        capabilities=blueprint.exec_capabilities(container, privileged=config.privileged),
        no_new_privileges=options.no_new_privileges,
        rlimits=rlimits(host.ulimits or (), attainable(USUAL_RLIMITS)),
        oom_score_adj=host.oom_score_adj or None,
        apparmor=None if config.privileged or host.privileged else options.apparmor,
    )


def _read(path: Path) -> Exec | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Exec)
    except (OSError, msgspec.DecodeError):
        return None
