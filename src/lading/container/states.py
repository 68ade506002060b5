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

    @property
    def has_process(self) -> bool:
        return self in (State.RUNNING, State.PAUSED)

    @property
    def is_up(self) -> bool:
        """Whether `wait` waits: it runs, or is about to run again."""
        return self in (State.RUNNING, State.PAUSED, State.RESTARTING)


class Action(Enum):
    """What changes a state, or needs a certain one."""

    START = "start"
    KILL = "kill"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    EXEC = "exec in"
    ATTACH = "attach to"
    EXIT = "exit"
    WAIT = "wait to restart"
    GIVE_UP = "give up restarting"
    REMOVE = "remove"


NEXT: Mapping[tuple[State, Action], State] = {
    (State.CREATED, Action.START): State.RUNNING,
    (State.EXITED, Action.START): State.RUNNING,
    (State.RESTARTING, Action.START): State.RUNNING,
    (State.RUNNING, Action.KILL): State.RUNNING,
    (State.PAUSED, Action.KILL): State.PAUSED,
    (State.RUNNING, Action.PAUSE): State.PAUSED,
    (State.PAUSED, Action.UNPAUSE): State.RUNNING,
    (State.RUNNING, Action.EXEC): State.RUNNING,
    (State.CREATED, Action.ATTACH): State.CREATED,
    (State.EXITED, Action.ATTACH): State.EXITED,
    (State.RUNNING, Action.ATTACH): State.RUNNING,
    (State.RUNNING, Action.EXIT): State.EXITED,
    (State.PAUSED, Action.EXIT): State.EXITED,
    (State.EXITED, Action.WAIT): State.RESTARTING,
    (State.RESTARTING, Action.GIVE_UP): State.EXITED,
    (State.CREATED, Action.REMOVE): State.REMOVING,
    (State.EXITED, Action.REMOVE): State.REMOVING,
}

_RESTARTING = "Container {id} is restarting, wait until the container is running"
_REMOVAL = 'cannot remove container "/{name}": container is {state}'
# What Docker says, where it has words of its own: clients and people look for them.
_WORDS: Mapping[tuple[State, Action], str] = {
    (State.PAUSED, Action.START): "cannot start a paused container, try unpause instead",
    (State.REMOVING, Action.START): "container is marked for removal and cannot be started",
    (State.PAUSED, Action.PAUSE): "Container {id} is already paused",
    (State.RESTARTING, Action.PAUSE): _RESTARTING,
    (State.PAUSED, Action.EXEC): "Container {id} is paused, unpause the container before exec",
    (State.RESTARTING, Action.EXEC): _RESTARTING,
    (State.PAUSED, Action.ATTACH): "Container {id} is paused, unpause the container before attach",
    (State.RESTARTING, Action.ATTACH): _RESTARTING,
    (State.RUNNING, Action.REMOVE): _REMOVAL
    + ": stop the container before removing or force remove",
    (State.RESTARTING, Action.REMOVE): _REMOVAL
    + ": stop the container before removing or force remove",
    (State.PAUSED, Action.REMOVE): _REMOVAL + " and must be unpaused first",
    (State.REMOVING, Action.REMOVE): "removal of container {id} is already in progress",
}
_OTHERWISE: Mapping[Action, str] = {
    Action.KILL: "cannot kill container: {name}: Container {id} is not running",
    Action.PAUSE: "Container {id} is not running",
    Action.UNPAUSE: "Container {id} is not paused",
    Action.EXEC: "Container {id} is not running",
}


class WrongState(Conflict):
    """Raised for an action that the container's state does not allow; nothing has happened."""

    def __init__(self, state: State, action: Action, container_id: str, name: str) -> None:
        words = _WORDS.get((state, action)) or _OTHERWISE.get(action)
        words = words or "cannot {action} container {name}: it is {state}"
        super().__init__(
            words.format(id=container_id, name=name, state=state.value, action=action.value)
        )
        self.state, self.action = state, action


def after(state: State, action: Action, container_id: str = "", name: str = "") -> State:
    """The state that *action* leads to; WrongState."""
    try:
        return NEXT[state, action]
    except KeyError:
        raise WrongState(state, action, container_id, name) from None
