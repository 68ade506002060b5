"""What follows when a container's process has ended: its outcome kept, what it held let go.

Whoever waits is told as soon as the outcome is durable; taking the rest apart comes after.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lading.container import health, restarts, sharing
from lading.container.announcing import Announcer
from lading.container.places import Places
from lading.container.record import Container
from lading.container.removal import Remover
from lading.container.rootfs import Roots
from lading.container.roster import Roster, Slot
from lading.container.states import Action, State, after
from lading.container.stowage import Stowage
from lading.linux import usage
from lading.linux.process import boot_id
from lading.network.networks import Networks
from lading.runtime import conmon
from lading.runtime.conmon import Launched
from lading.runtime.oci import Runtime

_LOG = logging.getLogger(__name__)
_KILLED = 137
_LOST = 255  # Docker's exit code for a container whose end nobody saw
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended."""

    exit_code: int
    finished_at: int  # nanoseconds since 1970
    error: str = ""
    oom_killed: bool = False


class Ender:
    """Settle containers that have ended."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        roots: Roots,
        stowage: Stowage,
        runtime: Runtime,
        *,
        networks: Networks,
        announcer: Announcer,
        remover: Remover,
    ) -> None:
        self._places, self._roster, self._roots = places, roster, roots
        self._stowage, self._runtime, self._networks = stowage, runtime, networks
        self._announcer, self._remover = announcer, remover

    def ended(self, slot: Slot, launched: Launched) -> bool:
        """Settle the run that *launched* began, once; whether a restart is due."""
        with slot.lock:
            state = slot.container.state
            if slot.removed or not state.status.has_process or state.monitor != launched.monitor:
                return False
            return self.settle(slot)

    def settle(self, slot: Slot) -> bool:
        """The same for whatever ran last; the caller holds the slot's lock."""
        container = slot.container
        outcome = self._outcome(container)
        # Stray processes die here; what they had mounted or bound can be let go after it.
        self._runtime.delete(container.id)
        self._networks.detach(container.id)
        ended = _after_end(container, outcome)
        restart = self._restart_due(ended, slot)
        if restart:
            ended = ended.with_state(status=after(ended.state.status, Action.WAIT))
        self._tell(ended)
        if container.host.auto_remove and not (restart or slot.stays):
            self._remover.forget(slot, ended, volumes=True)
        else:
            self._roster.keep(slot, ended)
            slot.waiting.ended(outcome.exit_code, outcome.error)
        self._let_go(container)
        if slot.removed:
            self._remover.clear(slot)
        return restart

    def gave_up(self, slot: Slot) -> None:
        """A start has failed: one that is to remove itself is gone; the caller holds the lock."""
        if slot.container.host.auto_remove and not slot.container.state.status.is_up:
            self._remover.forget(slot, slot.container, volumes=True)
            self._remover.clear(slot)

    def _tell(self, ended: Container) -> None:
        if ended.state.oom_killed:
            self._announcer.tell(ended, "oom")
        seconds = (ended.state.finished_at - ended.state.started_at) // _SECOND
        self._announcer.tell(
            ended, "die", exitCode=str(ended.state.exit_code), execDuration=str(max(0, seconds))
        )

    def _restart_due(self, ended: Container, slot: Slot) -> bool:
        state = ended.state
        ran_for = (state.finished_at - state.started_at) / _SECOND
        slot.restart_pause = restarts.pause(slot.restart_pause, ran_for)
        return restarts.wanted(
            ended.host.restart_policy,
            exit_code=state.exit_code,
            restarts=state.restart_count,
            by_user=state.stopped_by_user,
        )

    def _outcome(self, container: Container) -> Outcome:
        state, directory = container.state, self._places.directory(container.id)
        if state.boot_id != boot_id():
            return Outcome(_LOST, time.time_ns())
        oom = self._ran_out_of_memory(container)
        code = conmon.exit_code(directory)
        if code is not None:
            return Outcome(code, _changed(directory / "exit"), oom_killed=oom)
        if state.process and state.process.alive():
            return Outcome(_KILLED, time.time_ns(), "the container's monitor was killed", oom)
        return Outcome(_LOST, time.time_ns(), oom_killed=oom)

    def _ran_out_of_memory(self, container: Container) -> bool:
        if (self._places.directory(container.id) / "oom").exists():
            return True
        return usage.oom_kills(self._runtime.group(container.id)) > 0

    def _let_go(self, container: Container) -> None:
        """What only a live container needs; a failure here must not undo that it has ended."""
        try:
            self._roots.release(container.id)
            self._stowage.unload(container.mounts)
            sharing.forget_memory(self._places.shm(container.id))
            shutil.rmtree(self._places.bundle(container.id), ignore_errors=True)
        except Exception:
            _LOG.exception("what container %s left cannot be cleared away", container.short_id)


def _after_end(container: Container, outcome: Outcome) -> Container:
    return container.with_state(
        status=after(container.state.status, Action.EXIT),
        process=None,
        monitor=None,
        exit_code=outcome.exit_code,
        finished_at=outcome.finished_at,
        error=outcome.error,
        oom_killed=outcome.oom_killed,
        health=health.unwatched(container.state.health),
    )


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return time.time_ns()


def lost(container: Container) -> bool:
    """Whether a container that should run does so no more: neither process nor monitor."""
    state = container.state
    if state.boot_id != boot_id():
        return True
    return not any(ref and ref.alive() for ref in (state.process, state.monitor))


def is_up(container: Container) -> bool:
    """Whether it has a process by its record; `lost` says whether that is still so."""
    return container.state.status in (State.RUNNING, State.PAUSED)
