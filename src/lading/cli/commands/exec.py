"""``lading exec``: run one more process in a running container."""

from __future__ import annotations

import time

from lading.cli import attached, terminal
from lading.cli.attached import Streams
from lading.cli.client import Client, quote
from lading.cli.command import ANY, Command
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import Fault, Refused
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.options.variables import environment
from lading.cli.references import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 5.0  # seconds between the end of the output and the exit code


def run(arguments: Arguments, client: Client) -> int:
    """Run the process; its exit code is the answer."""
    container, *command = arguments.operands
    body = _body(arguments, command)
    streams = Streams(stdin=bool(body["AttachStdin"]), tty=bool(body["Tty"]))
    DetachKeys.parse(arguments.text("detach-keys"))
    if not arguments.on("detach"):
        terminal.check(stdin=streams.stdin, tty=streams.tty)
    identity = client.post(f"/containers/{reference(container)}/exec", body)["Id"]
    path = f"/exec/{quote(identity)}"
    order = {"Detach": arguments.on("detach"), "Tty": streams.tty}
    if "ConsoleSize" in body:
        order["ConsoleSize"] = body["ConsoleSize"]
    try:
        if arguments.on("detach"):
            client.post(f"{path}/start", order)
            return 0
        connection = client.upgrade(f"{path}/start", {}, order)
    except Refused as error:
        failure = attached.start_failure(error)
        raise Fault(str(error), failure.code if failure.code != 125 else 1) from None
    with attached.resizing(client, path, wanted=streams.tty):
        detached = attached.talk(connection, streams, arguments.text("detach-keys"))
    if detached:
        raise Fault(attached.DETACHED)
    return _exit_code(client, path)


def _body(arguments: Arguments, command: list[str]) -> dict[str, Any]:
    detached = arguments.on("detach")
    body: dict[str, Any] = {
        "AttachStdin": arguments.on("interactive") and not detached,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "Tty": arguments.on("tty"),
        "Cmd": command,
        "Env": environment(arguments.many("env-file"), arguments.many("env")),
        "User": arguments.text("user"),
        "WorkingDir": arguments.text("workdir"),
        "Privileged": arguments.on("privileged"),
        "DetachKeys": arguments.text("detach-keys"),
    }
    if arguments.on("tty"):
        body["ConsoleSize"] = list(terminal.size())
    return body


def _exit_code(client: Client, path: str) -> int:
    """The output may end a moment before the process."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        state = client.get(f"{path}/json")
        if state.get("ExitCode") is not None and not state.get("Running"):
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            return 0 if state.get("ExitCode") is None else int(state["ExitCode"])
        time.sleep(0.005)


COMMANDS = {
    "exec": Command(
        run,
        "[OPTIONS] CONTAINER COMMAND [ARG...]",
        example="lading exec -it web sh\nlading exec -u nobody -w /tmp -e MODE=fast web id",
        flags=(
            Flag("detach", SWITCH, "Detached mode: run command in the background", short="d"),
            Flag("detach-keys", TEXT, "Override the key sequence for detaching a container"),
            Flag("env", LIST, "Set environment variables", short="e", values="variables"),
            Flag("env-file", LIST, "Read in a file of environment variables", values="files"),
            Flag("interactive", SWITCH, "Keep STDIN open even if not attached", short="i"),
            Flag("privileged", SWITCH, "Give extended privileges to the command"),
            Flag("tty", SWITCH, "Allocate a pseudo-TTY", short="t"),
            Flag("user", TEXT, 'Username or UID (format: "<name|uid>[:<group|gid>]")', short="u"),
            Flag("workdir", TEXT, "Working directory inside the container", short="w"),
        ),
        operands=(2, ANY),
        interspersed=False,
        complete="running",
    )
}
