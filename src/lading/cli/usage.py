"""The text of ``--help``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from lading.cli.catalog import COMMANDS, GROUPS, Found
from lading.cli.flags import Flag

_MOST_COLUMNS = 100
GLOBAL_OPTIONS = (
    ("    --debug", "Show where an error came from (also LADING_DEBUG=1)"),
    (
        "-H, --host string",
        "Socket of the daemon to ask (also LADING_HOST); it is not started for you",
    ),
    ("-v, --version", "Print the version and quit"),
    ("    --help", "Print usage"),
)
_COMMON = ("run", "exec", "ps", "images", "load", "save", "commit", "version", "info")
_OWN = ("daemon", "doctor", "completion")


def of_everything() -> str:
    """The help of ``lading`` itself."""
    others = [n for n in COMMANDS if " " not in n and n not in _COMMON and n not in _OWN]
    parts = [
        "Usage:  lading [OPTIONS] COMMAND\n\n"
        "A container engine that backs up, restores and migrates a container whole\n",
        _section("Common Commands", ((name, COMMANDS[name][1]) for name in _COMMON)),
        _section("Management Commands", ((name, GROUPS[name][0]) for name in GROUPS)),
        _section("Commands", ((name, COMMANDS[name][1]) for name in others)),
        _section("The Engine Itself", ((name, COMMANDS[name][1]) for name in _OWN)),
        _section("Global Options", GLOBAL_OPTIONS),
        "Examples:\n  lading image bootstrap busybox\n  lading run --rm busybox echo hello\n",
        "Run 'lading COMMAND --help' for more information on a command.\n",
    ]
    return "\n".join(parts)


def of_group(group: str) -> str:
    """The help of a group of commands, such as ``lading image``."""
    summary, forms = GROUPS[group]
    shown = {name: COMMANDS[target][1] for name, target in forms.items() if not _alias(name, forms)}
    example = _first_example(group)
    return "\n".join(
        [
            f"Usage:  lading {group} COMMAND\n\n{summary}\n",
            _section("Commands", sorted(shown.items())),
            f"Examples:\n  {example}\n",
            f"Run 'lading {group} COMMAND --help' for more information on a command.\n",
        ]
    )


def of_command(found: Found) -> str:
    """The help of one command, under the name it was called by."""
    command = found.command
    name = canonical(found.name)
    parts = [f"Usage:  lading {found.name} {command.usage}".rstrip() + f"\n\n{COMMANDS[name][1]}\n"]
    if command.detail:
        parts.append(command.detail.strip() + "\n")
    if len(names := aliases(name)) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"lading {alias}" for alias in names) + "\n")
    options = [(_left(flag), _right(flag)) for flag in _shown(command.flags)]
    if options:
        parts.append(_section("Options", options))
    examples = "\n".join(f"  {line}" for line in command.example.splitlines())
    parts.append(f"Examples:\n{examples}\n")
    return "\n".join(parts)


def summary_of_use(found: Found) -> str:
    """The usage line alone, for those who got it wrong."""
    return f"Usage:  lading {found.name} {found.command.usage}".rstrip()


def canonical(called: str) -> str:
    """The name in COMMANDS of what was called."""
    group, _, word = called.partition(" ")
    return GROUPS[group][1][word] if word else called


def aliases(name: str) -> list[str]:
    """Every way to call the command *name*, its own name last."""
    found = [
        f"{group} {word}"
        for group, (_, forms) in GROUPS.items()
        for word, target in forms.items()
        if target == name
    ]
    return found if " " in name else [*found, name]


def _alias(name: str, forms: object) -> bool:
    """Second names are not listed."""
    return name in ("list", "remove") or (
        name == "ps" and isinstance(forms, dict) and "ls" in forms
    )


def _first_example(group: str) -> str:
    from lading.cli.catalog import load

    first = sorted(GROUPS[group][1].values(), key=lambda target: " " not in target)[0]
    return load(first).example.splitlines()[0]


def _shown(flags: Iterable[Flag]) -> list[Flag]:
    return sorted((f for f in flags if not f.hidden and not f.refused), key=lambda f: f.name)


def _left(flag: Flag) -> str:
    start = f"-{flag.short}, " if flag.short else "    "
    return f"{start}--{flag.name} {flag.kind.word}".rstrip()


def _right(flag: Flag) -> str:
    if flag.default in (None, False, "", 0) or "(default" in flag.help:
        return flag.help
    shown = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
    return f"{flag.help} (default {shown})"


def _section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows)
    width = max(len(left) for left, _ in rows)
    lines = [f"{title}:"]
    for left, right in rows:
        wrapped = textwrap.wrap(right, max(30, _MOST_COLUMNS - width - 5)) or [""]
        lines.append(f"  {left.ljust(width)}   {wrapped[0]}".rstrip())
        lines += [" " * (width + 5) + more for more in wrapped[1:]]
    return "\n".join(lines) + "\n"
