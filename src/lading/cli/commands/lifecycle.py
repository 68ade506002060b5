"""What is done to whole containers by their names: stop, kill, pause, wait, remove and the like."""

from __future__ import annotations

from collections.abc import Callable

from lading.cli import attached
from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault, Refused
from lading.cli.flags import NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.several import each

_NOT_FOUND = 404
_MANY = "[OPTIONS] CONTAINER [CONTAINER...]"
_SIGNAL = Flag("signal", TEXT, "Signal to send to the container", short="s")
_ENDING = (
    _SIGNAL,
    Flag("time", NUMBER, "Seconds to wait before killing the container", same="timeout",
         hidden=True),
    Flag("timeout", NUMBER, "Seconds to wait before killing the container", short="t"),
)  # fmt: skip


def kill(arguments: Arguments, client: Client) -> int:
    """Send the signal to every container named."""
    return _posted(arguments, client, "kill", signal=arguments.text("signal"))


def pause(arguments: Arguments, client: Client) -> int:
    """Freeze every container named."""
    return _posted(arguments, client, "pause")


def unpause(arguments: Arguments, client: Client) -> int:
    """Thaw every container named."""
    return _posted(arguments, client, "unpause")


def stop(arguments: Arguments, client: Client) -> int:
    """Stop every container named."""
    return _posted(arguments, client, "stop", **_ending(arguments))


def restart(arguments: Arguments, client: Client) -> int:
    """Stop and start every container named."""
    return _posted(arguments, client, "restart", **_ending(arguments))


def rename(arguments: Arguments, client: Client) -> int:
    """Give the container another name."""
    old, new = (name.strip() for name in arguments.operands)
    if not old or not new:
        raise Fault("Neither old nor new names may be empty")
    client.post(f"/containers/{reference(old)}/rename", name=new)
    return 0


def wait(arguments: Arguments, client: Client) -> int:
    """Print how each container ends, in the order of their names."""

    def ended(name: str) -> int:
        return attached.exit_code(attached.waiting(client, _named(name), ""))

    return each(arguments.operands, ended)


def remove(arguments: Arguments, client: Client) -> int:
    """Remove every container named; with ``--force`` it is no failure that one is not there."""

    def removed(name: str) -> None:
        client.delete(
            f"/containers/{reference(_named(name))}",
            force=arguments.on("force"),
            v=arguments.on("volumes"),
        )

    forgiven = _is_missing if arguments.on("force") else None
    return each(arguments.operands, removed, forgiven=forgiven)


def _posted(arguments: Arguments, client: Client, verb: str, **query: object) -> int:
    def act(name: str) -> None:
        client.post(f"/containers/{reference(name)}/{verb}", **query)

    return each(arguments.operands, act)


def _ending(arguments: Arguments) -> dict[str, object]:
    timeout = arguments.number("timeout") if arguments.given("timeout") else None
    return {"signal": arguments.text("signal"), "t": timeout}


def _named(name: str) -> str:
    bare = name.strip("/")
    reference(bare)
    return bare


def _is_missing(error: Fault) -> bool:
    return isinstance(error, Refused) and error.status == _NOT_FOUND


def _plain(run: Callable[[Arguments, Client], int], example: str, complete: str) -> Command:
    usage = "CONTAINER [CONTAINER...]"
    return Command(run, usage, example=example, operands=(1, ANY), complete=complete)


COMMANDS = {
    "kill": Command(
        kill,
        _MANY,
        example="lading kill --signal HUP web",
        flags=(_SIGNAL,),
        operands=(1, ANY),
        complete="running",
    ),
    "pause": _plain(pause, "lading pause web", "running"),
    "rename": Command(
        rename,
        "CONTAINER NEW_NAME",
        example="lading rename web old-web",
        operands=(2, 2),
        complete="containers",
    ),
    "restart": Command(
        restart,
        _MANY,
        example="lading restart -t 2 web",
        flags=_ENDING,
        operands=(1, ANY),
        complete="containers",
    ),
    "rm": Command(
        remove,
        _MANY,
        example="lading rm -f web",
        flags=(
            Flag("force", SWITCH, "Force the removal of a running container (uses SIGKILL)",
                 short="f"),
            Flag("link", SWITCH, "Remove the specified link", short="l", refused=True),
            Flag("volumes", SWITCH, "Remove anonymous volumes associated with the container",
                 short="v"),
        ),
        operands=(1, ANY),
        complete="containers",
    ),
    "stop": Command(
        stop,
        _MANY,
        example="lading stop -t 2 web db",
        flags=_ENDING,
        operands=(1, ANY),
        complete="running",
    ),
    "unpause": _plain(unpause, "lading unpause web", "containers"),
    "wait": _plain(wait, "lading wait job", "containers"),
}  # fmt: skip
