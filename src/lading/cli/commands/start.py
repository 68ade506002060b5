"""``lading start``: start containers again, attached to one if asked."""

from __future__ import annotations

import sys

from lading.cli import attached, terminal
from lading.cli.attached import Streams
from lading.cli.client import Client, quote
from lading.cli.command import ANY, Command
from lading.cli.detach_keys import DetachKeys
from lading.cli.faults import Fault, Refused
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.signals import Proxy


def run(arguments: Arguments, client: Client) -> int:
    """Start every container named; 1 when one of them did not."""
    if arguments.on("attach") or arguments.on("interactive"):
        if len(arguments.operands) > 1:
            raise Fault("you cannot start and attach multiple containers at once")
        return _attached(arguments, client)
    failed = []
    for name in arguments.operands:
        try:
            client.post(f"/containers/{reference(name)}/start")
            print(name, flush=True)
        except Refused as error:
            print(f"lading: {error}", file=sys.stderr)
            failed.append(name)
    if failed:
        raise Fault(f"failed to start containers: {', '.join(failed)}")
    return 0


def _attached(arguments: Arguments, client: Client) -> int:
    container = client.get(f"/containers/{reference(arguments.operands[0])}/json")
    config, identity = container["Config"], container["Id"]
    keys = arguments.text("detach-keys")
    DetachKeys.parse(keys)
    streams = Streams(stdin=arguments.on("interactive") and config["OpenStdin"], tty=config["Tty"])
    terminal.check(stdin=streams.stdin, tty=streams.tty)
    removed = container["HostConfig"].get("AutoRemove", False)
    with Proxy(client, identity, wanted=not streams.tty):
        connection = attached.attach(client, identity, streams, keys)
        waited = attached.waiting(client, identity, "removed" if removed else "next-exit")
        try:
            client.post(f"/containers/{quote(identity)}/start")
        except Refused as error:
            raise Fault(str(error)) from None
        path = f"/containers/{quote(identity)}"
        with attached.resizing(client, path, wanted=streams.tty):
            detached = attached.talk(connection, streams, keys)
        return 0 if detached else attached.exit_code(waited)


COMMANDS = {
    "start": Command(
        run,
        "[OPTIONS] CONTAINER [CONTAINER...]",
        example="lading start web",
        flags=(
            Flag("attach", SWITCH, "Attach STDOUT/STDERR and forward signals", short="a"),
            Flag("checkpoint", TEXT, "Restore from this checkpoint", refused=True),
            Flag("checkpoint-dir", TEXT, "Where the checkpoints are", refused=True),
            Flag("detach-keys", TEXT, "Override the key sequence for detaching a container"),
            Flag("interactive", SWITCH, "Attach container's STDIN", short="i"),
        ),
        operands=(1, ANY),
        complete="containers",
    )
}
