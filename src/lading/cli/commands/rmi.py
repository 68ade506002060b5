"""``lading rmi`` and ``lading tag``: take names from images, and give them."""

from __future__ import annotations

import sys

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Refused
from lading.cli.flags import LIST, SWITCH, Arguments, Flag
from lading.cli.references import reference


def remove(arguments: Arguments, client: Client) -> int:
    """Remove every image named, in order; 1 when one of them stays.

    With ``--force`` an image that is not there is as good as removed.
    """
    force = arguments.on("force")
    code = 0
    for name in arguments.operands:
        try:
            gone = client.delete(f"/images/{reference(name)}", force=force)
        except Refused as error:
            print(f"lading: {error}", file=sys.stderr)
            code = code if force and error.status == 404 else 1
            continue
        for each in gone or ():
            print(*(f"{how}: {what}" for how, what in each.items()), flush=True)
    return code


def tag(arguments: Arguments, client: Client) -> int:
    """Give the image one more name."""
    source, target = arguments.operands
    client.post(f"/images/{reference(source)}/tag", repo=target)
    return 0


COMMANDS = {
    "rmi": Command(
        remove,
        "[OPTIONS] IMAGE [IMAGE...]",
        example="lading rmi web-backup",
        flags=(
            Flag("force", SWITCH, "Force removal of the image", short="f"),
            Flag("no-prune", SWITCH, "Do not delete untagged parents", refused=True),
            Flag("platform", LIST, "Remove only the given platform variant", refused=True),
        ),
        operands=(1, ANY),
        complete="images",
    ),
    "tag": Command(
        tag,
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        example="lading tag web-backup registry.example/web:monday",
        operands=(2, 2),
        complete="images",
    ),
}
