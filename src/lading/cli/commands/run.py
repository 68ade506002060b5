"""``lading run``: create a container, attach to it, start it, and end as it ends."""

from __future__ import annotations

from lading.cli import attached, terminal
from lading.cli.attached import Streams
from lading.cli.client import Client, quote
from lading.cli.command import ANY, Command
from lading.cli.creation import create, prepared
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import USAGE, Fault, Misuse, Refused
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.http import Connection, Response
from lading.cli.options.table import FLAGS
from lading.cli.signals import Proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REMOVAL = 10.0  # seconds that the engine may take to remove what could not be started


def run(arguments: Arguments, client: Client) -> int:
    """Run the container; its exit code is the answer, 0 where it goes on without us."""
    body = prepared(arguments)
    if arguments.on("detach"):
        if arguments.given("attach"):
            raise Misuse("conflicting options: -a and -d")
        _leave_alone(body)
    streams = Streams(
        stdin=bool(body.get("AttachStdin")),
        stdout=bool(body.get("AttachStdout")),
        stderr=bool(body.get("AttachStderr")),
        tty=bool(body.get("Tty")),
    )
    DetachKeys.parse(arguments.text("detach-keys"))
    terminal.check(stdin=streams.stdin, tty=streams.tty)
    identity = _created(client, arguments, body)
    if arguments.on("detach"):
        _start(client, identity)
        print(identity)
        return 0
    with Proxy(client, identity, wanted=arguments.on("sig-proxy")):
        return _in_front(client, identity, streams, arguments)


def _created(client: Client, arguments: Arguments, body: dict[str, Any]) -> str:
    """The new container's ID; what forbids it has a code of its own here, as in Docker."""
    try:
        return create(client, arguments, body)
    except Fault as fault:
        raise Fault(str(fault), USAGE) from None


def _leave_alone(body: dict[str, Any]) -> None:
    for field in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"):
        body.pop(field, None)


def _in_front(client: Client, identity: str, streams: Streams, arguments: Arguments) -> int:
    keys = arguments.text("detach-keys")
    removed = arguments.on("rm")
    connection = attached.attach(client, identity, streams, keys)
    waited = attached.waiting(client, identity, "removed" if removed else "next-exit")
    try:
        _start(client, identity)
    except Fault:
        _give_up(connection, waited, removed=removed)
        raise
    if not streams.shown:
        print(identity, flush=True)
    path = f"/containers/{quote(identity)}"
    with attached.resizing(client, path, wanted=streams.tty):
        detached = attached.talk(connection, streams, keys)
    return 0 if detached or not streams.shown else attached.exit_code(waited)


def _start(client: Client, identity: str) -> None:
    try:
        client.post(f"/containers/{quote(identity)}/start")
    except Refused as error:
        raise attached.start_failure(error) from None


def _give_up(connection: Connection, waited: Response, *, removed: bool) -> None:
    """Nothing will come over the connection; the engine may still have to remove it."""
    connection.close()
    try:
        if removed:
            waited.connection.socket.settimeout(_REMOVAL)
            attached.exit_code(waited)
    except Fault:
        pass  # the start's own error is the one to tell
    finally:
        waited.connection.close()


COMMANDS = {
    "run": Command(
        run,
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        example=(
            "lading run --rm busybox echo hello\n"
            "lading run -d -p 8080:80 --name web -v site:/data -e GREETING=hello busybox httpd -f\n"
            "lading run --rm -it busybox sh"
        ),
        flags=(
            *FLAGS,
            Flag("detach", SWITCH, "Run container in background and print its ID", short="d"),
            Flag("detach-keys", TEXT, "Override the key sequence for detaching a container"),
            Flag("sig-proxy", SWITCH, "Proxy received signals to the process", default=True),
        ),
        operands=(1, ANY),
        interspersed=False,
        complete="images",
    )
}
