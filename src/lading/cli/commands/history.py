"""``lading history``: the steps that an image is made of, the latest first."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import FORMAT_HELP
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.rows import Shape, render
from lading.cli.units import ellipsis, short_id, since, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

_COLUMNS = 45  # of a step's command


def run(arguments: Arguments, client: Client) -> int:
    """Ask for the steps, and show them; one that adds no layer has a size of 0."""
    steps = client.get(f"/images/{reference(arguments.operands[0])}/history")
    listed = _shape(trunc=not arguments.on("no-trunc"), human=arguments.on("human"))
    quiet = "ID" if arguments.on("quiet") else ""
    print(render(listed, steps, arguments.text("format"), quiet=quiet), end="")
    return 0


def _shape(*, trunc: bool, human: bool) -> Shape:
    return Shape(
        "*formatter.historyContext",
        {
            "ID": ("IMAGE", lambda s: short_id(s["Id"]) if trunc else s["Id"]),
            "CreatedSince": ("CREATED", _since if human else _created),
            "CreatedAt": ("CREATED AT", _created),
            "CreatedBy": ("CREATED BY", lambda s: _command(s, trunc=trunc)),
            "Size": ("SIZE", lambda s: size(s["Size"], 3) if human else str(s["Size"])),
            "Comment": ("COMMENT", lambda s: s.get("Comment") or ""),
        },
        ["ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment"],
    )


def _since(step: Item) -> str:
    return since(step["Created"]) if step["Created"] > 0 else "N/A"


def _created(step: Item) -> str:
    shown = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(step["Created"]))
    return f"{shown[:-2]}:{shown[-2:]}".replace("+00:00", "Z")


def _command(step: Item, *, trunc: bool) -> str:
    command = (step.get("CreatedBy") or "").replace("\t", " ")
    return ellipsis(command, _COLUMNS) if trunc else command


COMMANDS = {
    "history": Command(
        run,
        "[OPTIONS] IMAGE",
        example="lading history --no-trunc web-backup",
        detail="Steps of size 0B change the image's settings only: they have no layer.",
        flags=(
            Flag("format", TEXT, FORMAT_HELP),
            Flag(
                "human",
                SWITCH,
                "Print sizes and dates in human readable format",
                short="H",
                default=True,
            ),
            Flag("no-trunc", SWITCH, "Don't truncate output"),
            Flag("platform", TEXT, "Show history for the given platform", refused=True),
            Flag("quiet", SWITCH, "Only show image IDs", short="q"),
        ),
        operands=(1, 1),
        complete="images",
    )
}
