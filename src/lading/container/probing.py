"""Look after running containers by their health checks, each an exec of its own.

Between two checks, and while one runs, no thread is held: the supervisor's thread keeps the
time and reads the output, and a few workers begin checks and note results.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

from lading.container import health
from lading.container.announcing import Announcer
from lading.container.execs import Execs
from lading.container.health import MOST_OUTPUT, Check, Result
from lading.container.options import ExecConfig
from lading.container.roster import ContainerNotFound, Roster, Slot
from lading.container.states import State
from lading.container.supervisor import Supervisor
from lading.errors import LadingError
from lading.events import Bus, Event

_LOG = logging.getLogger(__name__)
_WORKERS = 4
_SECOND = 1_000_000_000
_BUSY = 0.1  # seconds until a container is asked again that something else is done to
_LINGER = 1.0  # seconds that output may still come after the end
_BEGIN = frozenset({"start", "unpause"})
_END = frozenset({"die", "pause", "destroy"})


class _Watch:
    """One container between its start, or its going on, and its end."""

    def __init__(self, slot: Slot, check: Check) -> None:
        self.slot, self.check = slot, check
        self.cancel: Callable[[], None] = lambda: None


class _Probe:
    """One check that runs: how it ends, and what it says, come in any order."""

    def __init__(self) -> None:
        self.exec_id = ""
        self.began = time.time_ns()
        self.output = bytearray()
        self.silent = False  # its output has ended
        self.code: int | None = None
        self.timed_out = False
        self.told = False

    def receive(self, packet: bytes) -> None:
        """Keep what there is room for, and one byte more to know that there was more."""
        if not packet:
            self.silent = True
        self.output += packet[1 : 1 + max(0, MOST_OUTPUT + 1 - len(self.output))]

    def text(self) -> str:
        shown = bytes(self.output[:MOST_OUTPUT]).decode(errors="replace")
        return shown + "..." if len(self.output) > MOST_OUTPUT else shown


class Prober:
    """Check the containers that ask for it, from start to end, but not while they are paused."""

    def __init__(
        self, roster: Roster, execs: Execs, supervisor: Supervisor, announcer: Announcer
    ) -> None:
        self._roster, self._execs = roster, execs
        self._supervisor, self._announcer = supervisor, announcer
        self._watches: dict[str, _Watch] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="health")

    def open(self, bus: Bus) -> None:
        """Begin with what runs, and hear from now on what starts and ends."""
        bus.subscribe(self._heard)
        for slot in self._roster.slots():
            if slot.container.state.status is State.RUNNING:
                self._begin(slot)

    def close(self) -> None:
        """Look after nobody; whoever comes next goes on."""
        self._watches.clear()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _heard(self, event: Event) -> None:
        if event.kind != "container":
            return
        if event.action in _BEGIN:
            with suppress(ContainerNotFound):
                self._begin(self._roster.find(event.actor))
        elif event.action in _END:
            self._end(event.actor)

    def _begin(self, slot: Slot) -> None:
        container = slot.container
        check = health.check_of(container.config)
        if check is None:
            return
        self._end(container.id)
        watch = self._watches[container.id] = _Watch(slot, check)
        self._plan(watch)

    def _end(self, container_id: str) -> None:
        watch = self._watches.pop(container_id, None)
        if watch:
            watch.cancel()

    def _plan(self, watch: _Watch) -> None:
        state = watch.slot.container.state
        now = state.health or health.Health()
        pause = watch.check.pause(now, time.time_ns() - state.started_at)
        self._soon(watch, self._probe, pause / _SECOND)

    def _soon(self, watch: _Watch, job: Callable[[_Watch], None], seconds: float) -> None:
        """Have a worker do *job*, unless the container has ended by then."""
        watch.cancel = self._supervisor.after(seconds, partial(self._hand_over, watch, job))

    def _hand_over(self, watch: _Watch, job: Callable[[_Watch], None]) -> None:
        with suppress(RuntimeError):  # closing
            self._workers.submit(self._done, watch, job)

    def _done(self, watch: _Watch, job: Callable[[_Watch], None]) -> None:
        if not self._is_current(watch):
            return
        try:
            job(watch)
        except Exception:
            _LOG.exception("the health of %s cannot be told", watch.slot.container.short_id)
            self._plan(watch)

    def _is_current(self, watch: _Watch) -> bool:
        return self._watches.get(watch.slot.container.id) is watch

    # One check, from its beginning to its result.

    def _probe(self, watch: _Watch) -> None:
        """Begin a check; a container that is busy is asked a little later."""
        probe = _Probe()
        with _free(watch.slot) as free:
            if not free:
                self._soon(watch, self._probe, _BUSY)
                return
            if watch.slot.container.state.status is not State.RUNNING:
                return
            config = ExecConfig(cmd=list(watch.check.argv), attach_stdout=True, attach_stderr=True)
            probe.exec_id = self._execs.create(watch.slot.container.id, config, probe=True)
        self._supervisor.after(watch.check.timeout / _SECOND, partial(self._late, probe))
        try:
            self._execs.start(probe.exec_id, partial(self._listen, watch, probe))
        except LadingError as error:
            self._failed(watch, probe, error)
            return
        if probe.timed_out:
            self._late(probe)
        self._execs.watch(probe.exec_id, partial(self._ended, watch, probe))

    def _listen(self, watch: _Watch, probe: _Probe, connection: socket.socket) -> None:
        def receive(packet: bytes) -> None:
            probe.receive(packet)
            if probe.silent and probe.code is not None:
                self._hand_over(watch, partial(self._tell, probe=probe))

        self._supervisor.read(connection, receive)

    def _ended(self, watch: _Watch, probe: _Probe, code: int) -> None:
        probe.code = code
        tell = partial(self._hand_over, watch, partial(self._tell, probe=probe))
        if probe.silent:
            tell()
        else:
            self._supervisor.after(_LINGER, tell)

    def _late(self, probe: _Probe) -> None:
        """Its time is over: it dies, and counts as failed when it is gone."""
        if probe.code is not None or probe.told:
            return
        probe.timed_out = True
        with suppress(LadingError):
            self._execs.kill(probe.exec_id, signal.SIGKILL)

    def _failed(self, watch: _Watch, probe: _Probe, error: LadingError) -> None:
        """It did not begin: the container's fault, unless that has ended or stands still."""
        with _free(watch.slot) as free:
            if not free or watch.slot.container.state.status is not State.RUNNING:
                self._soon(watch, self._probe, _BUSY)
                return
        probe.code = -1
        probe.output += str(error).encode()
        self._tell(watch, probe)

    def _tell(self, watch: _Watch, probe: _Probe) -> None:
        """Keep the result, and tell when the container's health is another now."""
        with _free(watch.slot) as free:
            if not free:
                self._soon(watch, partial(self._tell, probe=probe), _BUSY)
                return
            if probe.told or not self._is_current(watch):
                return
            probe.told = True
            self._keep(watch, _result(watch.check, probe))
        self._plan(watch)

    def _keep(self, watch: _Watch, result: Result) -> None:
        """Only another status is worth a row: the rest comes again with the next check."""
        slot = watch.slot
        container, state = slot.container, slot.container.state
        if slot.removed or state.status is not State.RUNNING:
            return
        before = state.health or health.Health()
        now = health.after(before, result, watch.check, state.started_at)
        slot.container = container.with_state(health=now)
        if now.status != before.status:
            self._roster.keep(slot, slot.container)
            self._announcer.tell(slot.container, f"health_status: {now.status}")


@contextmanager
def _free(slot: Slot) -> Iterator[bool]:
    """The slot's lock, held where nobody else has it: a worker waits for no container."""
    got = slot.lock.acquire(blocking=False)
    try:
        yield got
    finally:
        if got:
            slot.lock.release()


def _result(check: Check, probe: _Probe) -> Result:
    text, code = probe.text(), probe.code if probe.code is not None else -1
    if probe.timed_out:
        late = f"Health check exceeded timeout ({health.duration(check.timeout)})"
        text, code = f"{late}: {text}" if text else late, -1
    return Result(probe.began, time.time_ns(), code, text)
