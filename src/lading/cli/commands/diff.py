"""``lading diff``: what a container changed in its file system."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.flags import Arguments
from lading.cli.references import reference

_LETTERS = ("C", "A", "D")


def run(arguments: Arguments, client: Client) -> int:
    """Print a line for each change: C changed, A added, D deleted."""
    changes = client.get(f"/containers/{reference(arguments.operands[0])}/changes")
    for change in changes or ():
        print(f"{_LETTERS[change['Kind']]} {change['Path']}")
    return 0


COMMANDS = {
    "diff": Command(
        run, "CONTAINER", example="lading diff web", operands=(1, 1), complete="containers"
    )
}
