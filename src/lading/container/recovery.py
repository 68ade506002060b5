"""Take up what an engine before this one left: running containers, and ends nobody saw."""

from __future__ import annotations

import logging
from functools import partial

from lading.container import restarts
from lading.container.control import Control
from lading.container.ending import Ender, is_up, lost
from lading.container.places import Places
from lading.container.record import Container
from lading.container.removal import Remover
from lading.container.rootfs import Roots
from lading.container.roster import Roster, Slot
from lading.container.states import State
from lading.container.supervisor import Supervisor
from lading.runtime.conmon import Launched
from lading.runtime.oci import Runtime

_LOG = logging.getLogger(__name__)


class Recovery:
    """Make the records true again; one bad container never keeps the others."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        roots: Roots,
        runtime: Runtime,
        *,
        supervisor: Supervisor,
        control: Control,
        ender: Ender,
        remover: Remover,
    ) -> None:
        self._places, self._roster, self._roots, self._runtime = places, roster, roots, runtime
        self._supervisor, self._control = supervisor, control
        self._ender, self._remover = ender, remover

    def live(self) -> list[str]:
        """The containers whose process or monitor is alive now."""
        containers = [slot.container for slot in self._roster.slots()]
        return [each.id for each in containers if is_up(each) and not lost(each)]

    def recover(self) -> None:
        """Adopt what runs, settle what ended, start what is to run, clear away the rest."""
        slots = list(reversed(self._roster.slots()))  # the oldest first: others may join them
        adopted = [slot for slot in slots if self._settled(slot)]
        for slot in adopted:
            launched = _run(slot.container)
            self._supervisor.watch(
                launched.monitor, partial(self._control.has_ended, slot, launched)
            )
        try:
            self._remover.sweep()
        except OSError:
            _LOG.exception("what removed containers left cannot be cleared away")

    def _settled(self, slot: Slot) -> bool:
        """Whether the container runs; if not, what is to come of it is under way."""
        try:
            with slot.lock:
                return self._settle(slot)
        except Exception:
            _LOG.exception("container %s cannot be taken up", slot.container.short_id)
            return False

    def _settle(self, slot: Slot) -> bool:
        container = slot.container
        if is_up(container) and not lost(container):
            self._adopt(slot)
            return True
        if is_up(container):
            self._end(slot)
        else:
            self._drop(container)
        if not slot.removed and self._is_wanted(slot):
            if slot.container.state.status is State.EXITED:
                slot.container = slot.container.with_state(status=State.RESTARTING)
            slot.restart_pause = 0.0
            self._control.plan_restart(slot)
        return False

    def _adopt(self, slot: Slot) -> None:
        container = slot.container
        self._roots.adopt(container.id)
        frozen = self._runtime.group(container.id).frozen()
        slot.container = container.with_state(status=State.PAUSED if frozen else State.RUNNING)
        # The engine before may have died between making it and letting it run.
        if container.state.process and self._runtime.is_waiting(container.id):
            self._runtime.start(container.id, container.state.process)

    def _end(self, slot: Slot) -> None:
        """It ended while no engine looked."""
        self._ender.settle(slot)
        if not slot.removed:
            self._roots.drop(slot.container.id)

    def _drop(self, container: Container) -> None:
        """It does not run: what a start left that was cut off goes."""
        self._runtime.delete(container.id)
        self._roots.drop(container.id)

    def _is_wanted(self, slot: Slot) -> bool:
        container, state = slot.container, slot.container.state
        if state.status is State.RESTARTING:
            return True
        return bool(state.started_at) and restarts.wanted_at_open(
            container.host.restart_policy,
            exit_code=state.exit_code,
            restarts=state.restart_count,
            by_user=state.stopped_by_user,
        )


def _run(container: Container) -> Launched:
    process, monitor = container.state.process, container.state.monitor
    assert process and monitor
    return Launched(process, monitor)
