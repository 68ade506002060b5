"""``lading system reset``: remove everything an engine keeps, and stop it."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.flags import SWITCH, Arguments, Flag
from lading.cli.prompt import confirmed

_WARNING = """WARNING! This will remove:
  - all containers, running ones too
  - all images
  - all volumes, named ones too
  - all networks, and everything else below {root}
and stop the daemon at {host}.
"""


def run(arguments: Arguments, client: Client) -> int:
    """Remove it all, once that is what the user wants."""
    if not arguments.on("force"):
        root = client.get("/info")["DockerRootDir"]
        if not confirmed(_WARNING.format(root=root, host=client.host)):
            return 0
    client.post("/lading/v1/system/reset")
    return 0


COMMANDS = {
    "system reset": Command(
        run,
        "[OPTIONS]",
        example="lading system reset --force",
        detail="The daemon ends, and nothing of it is left: the next command starts a new one.",
        flags=(Flag("force", SWITCH, "Do not prompt for confirmation", short="f"),),
    )
}
