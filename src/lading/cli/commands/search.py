"""``lading search``: look for images on a registry."""

from __future__ import annotations

from lading.cli import sharing
from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import FORMAT_HELP, filters
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.rows import Shape, render

_WIDTH = 45  # of a description, as Docker cuts it


def run(arguments: Arguments, client: Client) -> int:
    """Ask for what is called so, the most loved first."""
    term = arguments.operands[0]
    first, slash, _ = term.partition("/")
    registry = first if slash and ("." in first or ":" in first) else "docker.io"
    query = {
        "term": term,
        "limit": arguments.number("limit"),
        "filters": filters(arguments.many("filter")),
    }
    response = client.ask("GET", "/images/search", query, headers=sharing.headers(registry))
    from lading.cli.client import decoded

    rows = sorted(decoded(response.read()) or [], key=lambda row: -int(row["star_count"]))
    shape = _shape(trunc=not arguments.on("no-trunc"))
    print(render(shape, rows, arguments.text("format")), end="")
    return 0


def _shape(*, trunc: bool) -> Shape:
    def described(text: str) -> str:
        line = " ".join(text.split())
        return f"{line[: _WIDTH - 1]}…" if trunc and len(line) > _WIDTH else line

    return Shape(
        "*search.searchContext",
        {
            "Name": ("NAME", lambda row: row["name"]),
            "Description": ("DESCRIPTION", lambda row: described(row["description"])),
            "StarCount": ("STARS", lambda row: row["star_count"]),
            "IsOfficial": ("OFFICIAL", lambda row: "[OK]" if row["is_official"] else ""),
        },
        ("Name", "Description", "StarCount", "IsOfficial"),
    )


COMMANDS = {
    "search": Command(
        run,
        "[OPTIONS] TERM",
        example="lading search registry.example:5000/web",
        detail="A registry without a search is asked for its catalog.",
        flags=(
            Flag("filter", LIST, "Filter output based on conditions provided", short="f"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag("limit", NUMBER, "Max number of search results"),
            Flag("no-trunc", SWITCH, "Don't truncate output"),
        ),
        operands=(1, 1),
    )
}
