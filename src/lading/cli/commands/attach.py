"""``lading attach``: see and type what a running container's process does."""

from __future__ import annotations

from lading.cli import attached, terminal
from lading.cli.attached import Streams
from lading.cli.client import Client, quote
from lading.cli.command import Command
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import Fault
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.signals import Proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOT = {
    "Paused": "cannot attach to a paused container, unpause it first",
    "Restarting": "cannot attach to a restarting container, wait until it is running",
}


def run(arguments: Arguments, client: Client) -> int:
    """Attach until the process ends; its exit code is the answer."""
    container = client.get(f"/containers/{reference(arguments.operands[0])}/json")
    _check(container["State"])
    config, identity = container["Config"], container["Id"]
    keys = arguments.text("detach-keys")
    DetachKeys.parse(keys)
    stdin = not arguments.on("no-stdin") and config["OpenStdin"]
    streams = Streams(stdin=stdin, tty=config["Tty"])
    terminal.check(stdin=not arguments.on("no-stdin"), tty=streams.tty)
    path = f"/containers/{quote(identity)}"
    with Proxy(client, identity, wanted=arguments.on("sig-proxy") and not streams.tty):
        waited = attached.waiting(client, identity, "")
        connection = attached.attach(client, identity, streams, keys)
        if streams.tty:
            _redraw(client, path)
        with attached.resizing(client, path, wanted=streams.tty):
            detached = attached.talk(connection, streams, keys)
    if detached:
        raise Fault(attached.DETACHED)
    return attached.exit_code(waited)


def _check(state: dict[str, Any]) -> None:
    if not state.get("Running"):
        raise Fault("cannot attach to a stopped container, start it first")
    for field, message in _NOT.items():
        if state.get(field):
            raise Fault(message)


def _redraw(client: Client, path: str) -> None:
    """A program draws its screen again only when the size changes: change it for a moment."""
    rows, columns = terminal.size()
    if rows and columns and terminal.is_terminal(terminal.STDOUT):
        try:
            client.post(f"{path}/resize", h=rows + 1, w=columns + 1)
        except Fault:
            pass  # it ended in this moment, which attaching tells


COMMANDS = {
    "attach": Command(
        run,
        "[OPTIONS] CONTAINER",
        example="lading attach --detach-keys ctrl-x web",
        flags=(
            Flag("detach-keys", TEXT, "Override the key sequence for detaching a container"),
            Flag("no-stdin", SWITCH, "Do not attach STDIN"),
            Flag("sig-proxy", SWITCH, "Proxy all received signals to the process", default=True),
        ),
        operands=(1, 1),
        complete="running",
    )
}
