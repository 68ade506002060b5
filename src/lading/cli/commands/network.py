"""``lading network ls``: list networks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import FORMAT_HELP, filters
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.rows import Shape, render
from lading.cli.units import short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)")


def run(arguments: Arguments, client: Client) -> int:
    """Ask for the list, and show it by name."""
    found = client.get("/networks", filters=filters(arguments.many("filter")))
    rows = sorted(found, key=lambda network: str(network["Name"]))
    quiet = "ID" if arguments.on("quiet") else ""
    listed = _shape(trunc=not arguments.on("no-trunc"))
    print(render(listed, rows, arguments.text("format"), quiet=quiet), end="")
    return 0


def _shape(*, trunc: bool) -> Shape:
    return Shape(
        "*network.networkContext",
        {
            "ID": ("NETWORK ID", lambda n: short_id(n["Id"]) if trunc else n["Id"]),
            "Name": ("NAME", lambda n: n["Name"]),
            "Driver": ("DRIVER", lambda n: n["Driver"]),
            "Scope": ("SCOPE", lambda n: n["Scope"]),
            "IPv4": ("IPV4", lambda n: _truth(n.get("EnableIPv4", True))),
            "IPv6": ("IPV6", lambda n: _truth(n.get("EnableIPv6"))),
            "Internal": ("INTERNAL", lambda n: _truth(n.get("Internal"))),
            "Labels": ("LABELS", _labels),
            "CreatedAt": ("CREATED AT", lambda n: _created(n.get("Created", ""))),
        },
        ("ID", "Name", "Driver", "Scope"),
        methods={"Label": lambda n, name: (n.get("Labels") or {}).get(name, "")},
    )


def _truth(value: object) -> str:
    return "true" if value else "false"


def _labels(network: Item) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((network.get("Labels") or {}).items()))


def _created(text: str) -> str:
    """As Go's ``Time.String`` shows what came as RFC 3339."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    day, clock, zone = match.groups()
    if zone == "Z":
        return f"{day} {clock} +0000 UTC"
    return f"{day} {clock} {zone.replace(':', '')} {zone.replace(':', '')}"


COMMANDS = {
    "network ls": Command(
        run,
        "[OPTIONS]",
        example="lading network ls --filter driver=bridge",
        flags=(
            Flag("filter", LIST, 'Provide filter values (e.g. "driver=bridge")', short="f"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag("no-trunc", SWITCH, "Do not truncate the output"),
            Flag("quiet", SWITCH, "Only display network IDs", short="q"),
        ),
    )
}
