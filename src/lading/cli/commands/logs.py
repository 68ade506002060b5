"""``lading logs``: what a container wrote, and what it goes on writing."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.demux import Demux
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.moments import moment
from lading.cli.pump import write
from lading.cli.references import reference

_MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def run(arguments: Arguments, client: Client) -> int:
    """Print the log, each stream where it belongs."""
    query = {
        "stdout": True,
        "stderr": True,
        "follow": arguments.on("follow"),
        "timestamps": arguments.on("timestamps"),
        "since": moment(arguments.text("since"), "since"),
        "until": moment(arguments.text("until"), "until"),
        "tail": arguments.text("tail"),
    }
    path = f"/containers/{reference(arguments.operands[0])}/logs"
    response = client.ask("GET", path, query)
    kind = response.headers.get("content-type", "").partition(";")[0]
    demux = Demux() if kind == _MULTIPLEXED else None  # a terminal's log is one stream
    for piece in response.pieces():
        for stream, text in demux.feed(piece) if demux else [(1, piece)]:
            write(stream, text)
    return 0


COMMANDS = {
    "logs": Command(
        run,
        "[OPTIONS] CONTAINER",
        example="lading logs -f --tail 20 web\nlading logs --since 42m -t web",
        flags=(
            Flag("details", SWITCH, "Show extra details provided to logs", refused=True),
            Flag("follow", SWITCH, "Follow log output", short="f"),
            Flag("since", TEXT, 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or'
                 ' relative (e.g. "42m" for 42 minutes)'),
            Flag("tail", TEXT, "Number of lines to show from the end of the logs", short="n",
                 default="all"),
            Flag("timestamps", SWITCH, "Show timestamps", short="t"),
            Flag("until", TEXT, 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or'
                 ' relative (e.g. "42m" for 42 minutes)'),
        ),
        operands=(1, 1),
        complete="containers",
    )
}  # fmt: skip
