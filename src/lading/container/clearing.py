"""Remove containers because somebody asks: one by name, or all that stand idle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from lading.container.control import Control
from lading.container.record import Container
from lading.container.removal import Remover
from lading.container.roster import ContainerNotFound, Roster, Slot
from lading.container.states import Action, State, WrongState, after
from lading.image import times

_IDLE = (State.CREATED, State.EXITED)
Filters = Mapping[str, Sequence[str]]


class Clearer:
    """Take containers away, ending them first where that is asked for."""

    def __init__(self, roster: Roster, control: Control, remover: Remover) -> None:
        self._roster, self._control, self._remover = roster, control, remover

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous *volumes*; *force* ends it first; WrongState."""
        slot = self._roster.find(ref)
        if force:
            self._control.end(slot)
        with slot.lock:
            if slot.removed:
                if force:
                    return  # it removed itself when it ended
                raise ContainerNotFound(ref)
            self._forget(slot, volumes=volumes)
        self._remover.clear(slot)

    def prune(self, filters: Filters, size: Callable[[Container], int]) -> tuple[list[str], int]:
        """Remove those that do not run and pass *filters*; their IDs, the bytes freed."""
        wanted = _Wanted(filters)
        gone: list[str] = []
        freed = 0
        for slot in self._roster.slots():
            if not wanted.takes(slot.container):
                continue
            bytes_held = size(slot.container)
            with suppress(WrongState, ContainerNotFound):  # somebody started or removed it
                self.remove(slot.container.id)
                gone.append(slot.container.id)
                freed += bytes_held
        return gone, freed

    def _forget(self, slot: Slot, *, volumes: bool) -> None:
        container = slot.container
        status = after(container.state.status, Action.REMOVE, container.id, container.name)
        self._remover.forget(slot, container.with_state(status=status), volumes=volumes)


class _Wanted:
    """What ``container prune`` may take: Docker's filters until, label, label!."""

    def __init__(self, filters: Filters) -> None:
        self._before = min((times.until(text) for text in filters.get("until", ())), default=None)
        self._labels = filters.get("label", ())
        self._refused = filters.get("label!", ())

    def takes(self, container: Container) -> bool:
        labels = container.config.labels or {}
        return (
            container.state.status in _IDLE
            and (self._before is None or container.created < self._before)
            and all(_has(labels, label) for label in self._labels)
            and not any(_has(labels, label) for label in self._refused)
        )


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
