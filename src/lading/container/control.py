"""Start, stop, signal, pause and restart containers, by hand or by policy."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from lading.container import health, restarts, signals
from lading.container.announcing import Announcer
from lading.container.ending import Ender
from lading.container.record import Container
from lading.container.roster import Roster, Slot
from lading.container.starting import Starter
from lading.container.states import Action, State, after
from lading.container.supervisor import Supervisor
from lading.container.waiting import Until
from lading.errors import LadingError, Unavailable
from lading.runtime.conmon import Launched
from lading.runtime.oci import Runtime

_LOG = logging.getLogger(__name__)
_DEATH_SECONDS = 10.0  # that a killed process may take to be gone


class WillNotDie(Unavailable):
    """Raised where a process has been killed and is still there."""

    def __init__(self, container: Container) -> None:
        super().__init__(
            f"cannot stop container: {container.id}: "
            "tried to kill container, but did not receive an exit event"
        )


class Control:
    """What is done to one container after another, each to itself."""

    def __init__(
        self,
        roster: Roster,
        starter: Starter,
        ender: Ender,
        supervisor: Supervisor,
        runtime: Runtime,
        announcer: Announcer,
    ) -> None:
        self._roster, self._starter, self._ender = roster, starter, ender
        self._supervisor, self._runtime, self._announcer = supervisor, runtime, announcer

    def start(self, ref: str) -> bool:
        """Run the container; False when it runs already; WrongState, RuntimeFailed."""
        with self._roster.locked(ref) as slot:
            if slot.container.state.status is State.RUNNING:
                return False
            self._forget_restart(slot)
            slot.restart_pause = 0.0
            self._set(slot, restart_count=0)
            try:
                self._starter.start(slot)
            except LadingError:
                self._ender.gave_up(slot)
                raise
            return True

    def stop(self, ref: str, *, timeout: int | None = None, signal_name: str | None = None) -> bool:
        """End it, kindly for *timeout* seconds, then by SIGKILL; False when it did not run."""
        number = signals.parse(signal_name) if signal_name else None
        with self._roster.locked(ref) as slot:
            container = slot.container
            if self._end_restarting(slot):
                return True
            if not container.running:
                return False
            self._mark_stopped(slot)
            ended = _end_of(slot)
            self._signal(slot, number or signals.parse(container.stop_signal), last=True)
        seconds = container.stop_timeout if timeout is None else timeout
        if not ended.wait(None if seconds < 0 else seconds):
            self._kill_surely(slot, ended)
        self._announcer.tell(slot.container, "stop")
        return True

    def kill(self, ref: str, signal_name: str = "SIGKILL") -> None:
        """Send a signal; WrongState when it does not run."""
        number = signals.parse(signal_name or "SIGKILL")
        with self._roster.locked(ref) as slot:
            container = slot.container
            after(container.state.status, Action.KILL, container.id, container.name)
            last = number in (signal.SIGKILL, signals.parse(container.stop_signal))
            if last:
                self._mark_stopped(slot)
            ended = _end_of(slot)
            self._signal(slot, number, last=last)
        if number == signal.SIGKILL and not ended.wait(_DEATH_SECONDS):
            raise WillNotDie(container)

    def restart(
        self, ref: str, *, timeout: int | None = None, signal_name: str | None = None
    ) -> None:
        """Stop it if it runs, and start it; one that removes itself at its end stays."""
        slot = self._roster.find(ref)
        container = slot.container
        with _staying(slot):
            self.stop(container.id, timeout=timeout, signal_name=signal_name)
            self.start(container.id)
        self._announcer.tell(slot.container, "restart")

    def pause(self, ref: str) -> None:
        """Freeze its processes; WrongState."""
        with self._roster.locked(ref) as slot:
            status = self._after(slot, Action.PAUSE)
            self._runtime.pause(slot.container.id)
            unwatched = health.unwatched(slot.container.state.health)
            slot.container = slot.container.with_state(status=status, health=unwatched)
            self._announcer.tell(slot.container, "pause")

    def unpause(self, ref: str) -> None:
        """Let them go on; WrongState."""
        with self._roster.locked(ref) as slot:
            status = self._after(slot, Action.UNPAUSE)
            self._runtime.resume(slot.container.id)
            slot.container = slot.container.with_state(status=status)
            self._announcer.tell(slot.container, "unpause")

    def end(self, slot: Slot) -> None:
        """See to it that it does not run and will not be restarted, at once."""
        with slot.lock:
            self._end_restarting(slot)
            if slot.removed or not slot.container.running:
                return
            self._mark_stopped(slot)
            ended = _end_of(slot)
            self._signal(slot, signal.SIGKILL, last=True)
        self._kill_surely(slot, ended)

    # What comes by itself.

    def has_ended(self, slot: Slot, launched: Launched) -> None:
        """The monitor of a run is gone: called once for each run."""
        if self._ender.ended(slot, launched):
            self.plan_restart(slot)

    def plan_restart(self, slot: Slot) -> None:
        """Start it again after its pause."""
        slot.cancel_restart = self._supervisor.after(
            slot.restart_pause, partial(self._restart_by_policy, slot)
        )

    def _restart_by_policy(self, slot: Slot) -> None:
        with slot.lock:
            if slot.removed or slot.container.state.status is not State.RESTARTING:
                return
            self._set(slot, restart_count=slot.container.state.restart_count + 1)
            try:
                self._starter.start(slot)
            except LadingError as error:
                _LOG.warning("container %s cannot be restarted: %s", slot.container.name, error)
                self._put_off(slot)

    def _put_off(self, slot: Slot) -> None:
        """It did not come up: try again later, or never, as its policy says."""
        state = slot.container.state
        policy = slot.container.host.restart_policy
        if restarts.wanted(
            policy, exit_code=state.exit_code, restarts=state.restart_count, by_user=False
        ):
            slot.restart_pause = restarts.pause(slot.restart_pause, 0.0)
            self.plan_restart(slot)
            return
        status = self._after(slot, Action.GIVE_UP)
        self._roster.keep(slot, slot.container.with_state(status=status))
        slot.waiting.ended(state.exit_code, state.error)

    # Parts.

    def _end_restarting(self, slot: Slot) -> bool:
        """Give up a restart that is planned; whether there was one."""
        if slot.container.state.status is not State.RESTARTING:
            return False
        self._forget_restart(slot)
        status = self._after(slot, Action.GIVE_UP)
        self._roster.keep(slot, slot.container.with_state(status=status, stopped_by_user=True))
        slot.waiting.ended(slot.container.state.exit_code)
        return True

    def _forget_restart(self, slot: Slot) -> None:
        slot.cancel_restart()

    def _mark_stopped(self, slot: Slot) -> None:
        """A policy must not start it again, even if the engine dies now."""
        container = slot.container.with_state(stopped_by_user=True)
        if container.host.restart_policy.name in ("", "no"):
            slot.container = container
        else:
            self._roster.keep(slot, container)

    def _signal(self, slot: Slot, number: int, *, last: bool) -> None:
        """Send it; one that is to end a frozen process can only do so once that is thawed."""
        container = slot.container
        assert container.state.process
        self._runtime.kill(container.state.process, number)
        self._announcer.tell(container, "kill", signal=str(number))
        if last and container.state.status is State.PAUSED:
            self._runtime.resume(container.id)
            slot.container = container.with_state(status=self._after(slot, Action.UNPAUSE))

    def _kill_surely(self, slot: Slot, ended: threading.Event) -> None:
        with slot.lock:
            running = not slot.removed and slot.container.running
            if running and not ended.is_set():
                self._signal(slot, signal.SIGKILL, last=True)
        if not ended.wait(_DEATH_SECONDS):
            raise WillNotDie(slot.container)

    def _set(self, slot: Slot, **changes: object) -> None:
        """Change what the next commit writes."""
        slot.container = slot.container.with_state(**changes)

    def _after(self, slot: Slot, action: Action) -> State:
        container = slot.container
        return after(container.state.status, action, container.id, container.name)


@contextmanager
def _staying(slot: Slot) -> Iterator[None]:
    """Its end is not its removal, for as long as the context lasts."""
    with slot.lock:
        slot.stays += 1
    try:
        yield
    finally:
        with slot.lock:
            slot.stays -= 1


def _end_of(slot: Slot) -> threading.Event:
    """Set when what runs now has ended; the caller holds the slot's lock."""
    ended = threading.Event()
    slot.waiting.for_end(Until.NEXT_EXIT, lambda *_: ended.set())
    return ended
