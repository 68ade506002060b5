"""``lading migrate``: bring a container to another engine, which goes on with it."""

from __future__ import annotations

import os
import signal
import sys

from lading.cli.bars import Bars
from lading.cli.client import Client, documents
from lading.cli.command import Command
from lading.cli.faults import INTERRUPTED, Fault, Misuse
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.table import aligned
from lading.cli.targets import absolute, pairs
from lading.cli.terminal import STDERR, is_terminal
from lading.cli.tunnel import tunnel
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNIX, _SSH = "unix://", "ssh://"
_DETAIL = """
First everything is looked at that could be in the way.  Then what the container holds is carried
over while it runs, round after round, until little is left; it stands still for that alone, is
started there, and removed here, with its volumes, once it runs there, and is healthy where it
has a health check.  Before that any failure, and Ctrl-C, lets it go on here, and leaves nothing
there.
"""
_ALLOWED = ("bind", "cap-add", "device", "host-namespace", "privileged", "security-opt", "sysctl",
            "all")  # fmt: skip


def run(arguments: Arguments, client: Client) -> int:
    """Print the container's name; on stderr, what was done."""
    name, host = arguments.operands
    body = {
        "Name": name,
        "Host": host,
        "NewName": arguments.text("name"),
        "Ports": pairs(arguments.many("map-port"), "--map-port"),
        "Volumes": pairs(arguments.many("map-volume"), "--map-volume"),
        "Networks": pairs(arguments.many("map-network"), "--map-network"),
        "Allow": [word for text in arguments.many("allow") for word in text.split(",")],
        "DryRun": arguments.on("dry-run"),
        "KeepSource": arguments.on("keep-source"),
        "MaxRounds": arguments.number("max-rounds"),
        "TimeoutHealth": arguments.number("timeout-health"),
    }
    if host.startswith(_UNIX) and host != _UNIX:
        return _follow(client, {**body, "Socket": absolute(host.removeprefix(_UNIX))}, arguments)
    if host.startswith(_SSH):
        with tunnel(host.removeprefix(_SSH)) as socket:
            return _follow(client, {**body, "Socket": socket}, arguments)
    raise Misuse(f"unix://SOCKET or ssh://HOST is wanted, found: {host}", 1)


def _follow(client: Client, body: dict[str, Any], arguments: Arguments) -> int:
    """Ctrl-C gives it up, and waits until the container goes on here."""
    key, interrupted = os.urandom(16).hex(), []

    def give_up(*_: object) -> None:
        interrupted.append(True)
        client.post(f"/lading/v1/migrate/{key}/give-up")

    before = signal.signal(signal.SIGINT, give_up)
    try:
        return _draw(client, {**body, "Key": key}, is_quiet=arguments.on("quiet"))
    except Fault as fault:
        if interrupted:
            raise Fault(str(fault), INTERRUPTED) from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _draw(client: Client, body: dict[str, Any], *, is_quiet: bool) -> int:
    last = ""
    with Bars(wanted=is_terminal(STDERR) and not is_quiet, stderr=True) as bars:
        for line in documents(client.ask("POST", "/lading/v1/migrate", None, body)):
            told = line.get("aux")
            if told is None:
                bars.show(line)
                continue
            if not is_quiet:
                print(_words(told, str(body["Host"])), end="", file=sys.stderr, flush=True)
            last = told.get("done", {}).get("name", last)
    if last:
        print(last)
    elif not body["DryRun"]:
        raise Fault("the engine ended before the migration did")
    return 0


def _words(told: dict[str, Any], host: str) -> str:
    """What was done, for people."""
    if "checks" in told:
        rows = [[each["check"], "ok" if each["fine"] else "no", each["found"]]
                for each in told["checks"]]  # fmt: skip
        return aligned([["CHECK", "", "FOUND"], *rows])
    if "round" in told:
        return _round(told["round"])
    if "started" in told:
        return f"started at {host}, downtime {told['started']['downtime']:.2f} s\n"
    left = told["done"]["volumes"]
    stays = "".join(f"volume {each} stays here: others use it\n" for each in left)
    return f"{stays}downtime {told['done']['downtime']:.2f} s\n"


def _round(told: dict[str, Any]) -> str:
    what = f"round {told['number']}" if told["live"] else "last round, standing still"
    rate = told["bytes"] / max(told["seconds"], 0.001)
    return (
        f"{what}: {size(told['bytes'])} sent of {size(told['size'])}"
        f" in {told['seconds']:.2f} s ({size(rate)}/s)\n"
    )


COMMANDS = {
    "migrate": Command(
        run,
        "[OPTIONS] CONTAINER unix://SOCKET|ssh://[USER@]HOST[:PORT]",
        example=(
            "lading migrate --dry-run web ssh://other.example\n"
            "lading migrate web ssh://root@other.example"
        ),
        detail=_DETAIL,
        flags=(
            Flag("allow", LIST, "Allow what reaches beyond the container", values=_ALLOWED),
            Flag("dry-run", SWITCH, "Only check whether it can be done"),
            Flag("keep-source", SWITCH, "Keep the container here, stopped, with its volumes"),
            Flag("map-network", LIST, "Use another network: OLD:NEW"),
            Flag("map-port", LIST, "Publish on another port there: OLD:NEW"),
            Flag("map-volume", LIST, "Give a volume another name there: OLD:NEW"),
            Flag("max-rounds", NUMBER, "Rounds while it runs, at most", default=6),
            Flag("name", TEXT, "Name the container differently there"),
            Flag("quiet", SWITCH, "Show no progress", short="q"),
            Flag("timeout-health", NUMBER, "Seconds that it may take to be healthy", default=60),
        ),
        operands=(2, 2),
        complete="containers",
    )
}  # fmt: skip
