"""The page of every verb and flag, and whether it works: made from the command tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lading.cli import catalog, usage
from lading.cli.flags import SWITCH, Flag

WORKS, PARTLY, REFUSED = "works", "partly", "refused"
_GLOBAL_REFUSED = ("--config", "--context, -c", "--log-level, -l", "--tls", "--tlscacert",
                   "--tlscert", "--tlskey", "--tlsverify")  # fmt: skip

# What the tables cannot say: flags of `run` and `create` that the engine knows in part.
_OF_CONTAINERS: Mapping[str, tuple[str, str]] = {
    "log-driver": (PARTLY, "`json-file`, `local` and `none`; others are not on this host"),
    "userns": (PARTLY, "`host` alone"),
    "volume-driver": (PARTLY, "`local` alone"),
}
_KNOWN_IN_PART: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "run": _OF_CONTAINERS,
    "create": _OF_CONTAINERS,
}
_OPERANDS_IN_PART: Mapping[str, str] = {
    "cp": "not from one container to another",
    "import": "files and standard input; addresses are refused",
    "volume create": "the driver `local`, without options",
}


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD, "\n".join(_verbs()), "\n".join(_refused_verbs())]
    parts += ["\n".join(_flags(name)) for name in catalog.COMMANDS]
    return "\n\n".join(parts) + "\n"


_HEAD = f"""# Commands

Every verb of the command line and every flag, with Docker's names and meanings. *works* means as
in Docker; *partly* says what does not; *refused* ones are known by name and answered with an
error, never ignored. What Docker does not have is lading's own. This page is made by
`scripts/commands` from the tables that parse the command line.

Global flags: `--host`/`-H` (also `LADING_HOST`), `--debug`/`-D` (also `LADING_DEBUG=1`),
`--version`/`-v`, `--help`. Refused: {", ".join(f"`{name}`" for name in _GLOBAL_REFUSED)}.

## Verbs"""


def _verbs() -> Iterator[str]:
    yield "| verb | also called | | what it does |"
    yield "|---|---|---|---|"
    for name, (_, summary) in catalog.COMMANDS.items():
        others = ", ".join(f"`{alias}`" for alias in usage.aliases(name) if alias != name)
        anchor = f"[`{name}`](#lading-{name.replace(' ', '-')})"
        yield f"| {anchor} | {others} | {_state(name)} | {_cell(summary)} |"


def _refused_verbs() -> Iterator[str]:
    yield "Docker's verbs that are refused by name:"
    yield ", ".join(f"`{name}`" for name in sorted(catalog.NOT_YET)) + "."


def _state(name: str) -> str:
    part = _OPERANDS_IN_PART.get(name)
    return f"{PARTLY}: {part}" if part else WORKS


def _flags(name: str) -> Iterator[str]:
    command = catalog.load(name)
    yield f"## lading {name}"
    yield ""
    yield f"`{' '.join(('lading', name, command.usage)).strip()}`"
    shown = sorted((flag for flag in command.flags if _listed(flag)), key=lambda flag: flag.name)
    if shown:
        yield ""
        yield "| flag | | meaning |"
        yield "|---|---|---|"
        yield from (_row(name, flag) for flag in shown)


def _listed(flag: Flag) -> bool:
    return flag.refused or not flag.hidden


def _row(name: str, flag: Flag) -> str:
    state, detail = (REFUSED, "") if flag.refused else _known(name, flag)
    shown = f"`-{flag.short}`, " if flag.short else ""
    word = "" if flag.kind is SWITCH else f" {flag.kind.word}"
    said = f"{state}: {detail}" if detail else state
    return f"| {shown}`--{flag.name}{word}` | {_cell(said)} | {_cell(flag.help)} |"


def _known(name: str, flag: Flag) -> tuple[str, str]:
    return _KNOWN_IN_PART.get(name, {}).get(flag.name, (WORKS, ""))


def _cell(text: str) -> str:
    """*text* in a table: bars would end the cell, and angles would be tags."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
