"""``lading commit``: a new image from a container, and what of the container it leaves behind."""

from __future__ import annotations

import sys

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.table import aligned
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DETAIL = """
The image holds the container's files and its configuration.  Volumes, published ports,
networks and limits are not part of an image: they are listed on stderr, with --strict they
are an error.
"""


def run(arguments: Arguments, client: Client) -> int:
    """Print the image's ID; on stderr, what it does not contain and how long it paused."""
    container, *named = arguments.operands
    reference(container)
    pause = arguments.on("pause") and not arguments.on("no-pause")
    made = client.post(
        "/lading/v1/commit",
        container=container.removeprefix("/"),
        repo=named[0] if named else "",
        author=arguments.text("author"),
        comment=arguments.text("message"),
        changes=arguments.many("change"),
        pause="1" if pause else "0",
        strict=arguments.on("strict"),
    )
    print(made["Id"], flush=True)
    print(_told(made), end="", file=sys.stderr)
    return 0


def _told(made: dict[str, Any]) -> str:
    left_out, paused = made.get("NotIncluded") or (), made.get("PausedMs")
    text = f"paused for {paused} ms\n" if paused else "not paused\n"
    if not left_out:
        return text
    return text + "the image does not contain:\n" + aligned([_line(each) for each in left_out])


def _line(each: dict[str, Any]) -> list[str]:
    """One thing: its kind, its name, where it is in the container and how large it is."""
    cells = [f"  {each['Kind']}", each.get("Name") or "", each.get("Destination") or ""]
    if each.get("Size") is not None:
        cells.append(size(each["Size"], 3))
    while not cells[-1]:
        cells.pop()
    return cells


COMMANDS = {
    "commit": Command(
        run,
        "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
        example=(
            "lading commit web site:2\n"
            "lading commit -c 'CMD [\"httpd\", \"-f\"]' -m 'new pages' web site:3"
        ),
        flags=(
            Flag("author", TEXT, 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
                 short="a"),
            Flag("change", LIST, "Apply Dockerfile instruction to the created image", short="c"),
            Flag("message", TEXT, "Commit message", short="m"),
            Flag("no-pause", SWITCH, "Do not pause the container during commit"),
            Flag("pause", SWITCH, "Pause container during commit", short="p", default=True),
            Flag("strict", SWITCH, "Fail if the image would not contain all of the container"),
        ),
        operands=(1, 2),
        detail=_DETAIL,
        complete="containers",
    )
}  # fmt: skip
