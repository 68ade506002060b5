"""What a build tells whoever watches it, as values; one stage after the other, however they ran."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """*stage* is the stage's number in the Dockerfile."""

    stage: int


@dataclass(frozen=True, slots=True)
class StepBegan(Event):
    """Step *number* of *total*; *text* is the instruction as it was written."""

    number: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class StepSaid(Event):
    """Output of a step's command; *stream* is 1 for its output, 2 for its errors."""

    stream: int
    content: bytes


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """The step's image so far (*id*); *size* is its layer's tar in bytes, 0 without a layer."""

    number: int
    text: str
    id: str
    cached: bool
    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class Remarked(Event):
    """Something that the user should know; a whole line."""

    text: str


@dataclass(frozen=True, slots=True)
class StageEnded(Event):
    """No more will be told of the stage."""


Listener = Callable[[Event], None]


class InTurn:
    """Pass events on in the order of the stages: what a later one says waits for the earlier."""

    def __init__(self, order: tuple[int, ...], listener: Listener) -> None:
        self._order = list(order)
        self._listener = listener
        self._waiting: dict[int, list[Event]] = {}
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Take an event, from any thread."""
        with self._lock:
            if self._order and event.stage in self._order and event.stage != self._order[0]:
                self._waiting.setdefault(event.stage, []).append(event)
                return
            self._pass(event)

    def flush(self) -> None:
        """Pass on what is left, of stages that were cut off too."""
        with self._lock:
            for stage in self._order:
                for event in self._waiting.pop(stage, []):
                    self._listener(event)

    def _pass(self, event: Event) -> None:
        self._listener(event)
        if not isinstance(event, StageEnded) or not self._order or event.stage != self._order[0]:
            return
        self._order.pop(0)
        if self._order:
            for waiting in self._waiting.pop(self._order[0], []):
                self._pass(waiting)
