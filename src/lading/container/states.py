"""What a container may be, and what may be done to it then."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from lading.errors import Conflict


class State(Enum):
    """Docker's words for ``State.Status``."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def has_process(self) -> bool:
        return self in (State.RUNNING, State.PAUSED)


class Action(Enum):
    """What changes a state; the value completes "cannot ... container"."""

    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    EXIT = "exit"
    WAIT = "wait for the restart of"
    GIVE_UP = "give up restarting"
    REMOVE = "remove"


class WrongState(Conflict):
    """Raised for an action that the container's state does not allow; nothing has happened."""

    def __init__(self, state: State, action: Action, name: str = "") -> None:
        which = f" {name}" if name else ""
        super().__init__(f"cannot {action.value} container{which}: it is {state.value}")
        self.state, self.action = state, action


NEXT: Mapping[tuple[State, Action], State] = {
    (State.CREATED, Action.START): State.RUNNING,
    (State.EXITED, Action.START): State.RUNNING,
    (State.RESTARTING, Action.START): State.RUNNING,
    (State.RUNNING, Action.PAUSE): State.PAUSED,
    (State.PAUSED, Action.UNPAUSE): State.RUNNING,
    (State.RUNNING, Action.EXIT): State.EXITED,
    (State.PAUSED, Action.EXIT): State.EXITED,
    (State.EXITED, Action.WAIT): State.RESTARTING,
    (State.RESTARTING, Action.GIVE_UP): State.EXITED,
    (State.CREATED, Action.REMOVE): State.REMOVING,
    (State.EXITED, Action.REMOVE): State.REMOVING,
    (State.RESTARTING, Action.REMOVE): State.REMOVING,
    (State.DEAD, Action.REMOVE): State.REMOVING,
    (State.REMOVING, Action.REMOVE): State.REMOVING,
}


def after(state: State, action: Action, name: str = "") -> State:
    """The state that *action* leads to; WrongState."""
    try:
        return NEXT[state, action]
    except KeyError:
        raise WrongState(state, action, name) from None
