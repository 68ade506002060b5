"""Parser directives: the ``# name=value`` lines at a Dockerfile's very beginning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from lading.build.errors import InvalidDockerfile, Location, suggestion

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_KNOWN = ("check", "escape", "syntax")


@dataclass(frozen=True, slots=True)
class CheckDirective:
    """``# check=``: the rules to *skip* ("all" for every one), and whether a warning fails."""

    skip: frozenset[str] = frozenset()
    error: bool = False


@dataclass(frozen=True, slots=True)
class Directives:
    """What the directives say; *syntax* names a frontend image, which nobody needs to fetch."""

    syntax: str = ""
    escape: str = "\\"
    check: CheckDirective = field(default_factory=CheckDirective)


def read(lines: list[str], file: str) -> Directives:
    """The directives in *lines*: they end where a line is none, or is not known."""
    directives, seen = Directives(), set[str]()
    for number, line in enumerate(lines, 1):
        found = _DIRECTIVE.fullmatch(line.strip())
        name = found[1].lower() if found else ""
        if found is None or name not in _KNOWN:
            break
        where = Location(file, number, number)
        if name in seen:
            raise InvalidDockerfile(where, f"only one {name} parser directive can be used")
        seen.add(name)
        directives = _with(directives, name, found[2].strip(), where)
    return directives


def _with(directives: Directives, name: str, value: str, where: Location) -> Directives:
    if name == "syntax":
        return replace(directives, syntax=value)
    if name == "check":
        return replace(directives, check=_check(value, where))
    if value not in ("\\", "`"):
        why = f"invalid escape token '{value[:80]}' does not match ` or \\"
        raise InvalidDockerfile(where, why)
    return replace(directives, escape=value)


def _check(text: str, where: Location) -> CheckDirective:
    """``skip=RULE,RULE;error=true``."""
    skip, error = frozenset[str](), False
    for option in text.split(";"):
        name, equals, value = (part.strip() for part in option.partition("="))
        if name == "skip" and equals:
            skip = frozenset(rule.strip() for rule in value.split(","))
        elif name == "error" and value.lower() in ("true", "false", "1", "0"):
            error = value.lower() in ("true", "1")
        elif name != "experimental":
            near = suggestion(name, ("skip", "error"))
            why = f"invalid check option {option.strip()[:80]!r}: expected skip=RULE or error=true"
            raise InvalidDockerfile(where, why + near)
    return CheckDirective(skip, error)
