"""``lading top``: the processes of a container."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.flags import Arguments
from lading.cli.references import reference
from lading.cli.table import aligned

_WIDTH = 20


def run(arguments: Arguments, client: Client) -> int:
    """Print what ps(1) says of the container's processes; further operands are ps's own."""
    name, *options = arguments.operands
    found = client.get(f"/containers/{reference(name)}/top", ps_args=" ".join(options))
    lines = [found["Titles"], *(found["Processes"] or ())]
    print(aligned(lines, least=_WIDTH), end="")
    return 0


COMMANDS = {
    "top": Command(
        run,
        "CONTAINER [ps OPTIONS]",
        example="lading top web\nlading top web -o pid,args",
        operands=(1, ANY),
        interspersed=False,
        complete="running",
    )
}
