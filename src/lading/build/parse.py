"""A statement as an `Instruction`: which words it takes, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lading.build.errors import InvalidDockerfile, suggestion
from lading.build.flags import Flags, take
from lading.build.instruction import (
    Arg,
    Cmd,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from lading.build.lines import Statement
from lading.build.parse_files import add, copy, run
from lading.build.words import Clause
from lading.image import config_edits

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*", re.ASCII)
_WORD = re.compile(r"(\S+)\s*", re.DOTALL)
_HEALTH_TIMES = ("interval", "timeout", "start-period", "start-interval")
_NOT_TRIGGERS = ("FROM", "MAINTAINER")


def instruction(statement: Statement, escape: str) -> Instruction:
    """What *statement* says; InvalidDockerfile."""
    found = _WORD.match(statement.text)
    word = found[1] if found else ""
    parse = _PARSERS.get(word.upper())
    if found is None or parse is None:
        near = suggestion(word.upper(), _PARSERS)
        raise InvalidDockerfile(statement.where, f"unknown instruction: {word[:80]}{near}")
    flags, rest = take(statement.text[found.end() :])
    clause = Clause(word.upper(), Flags(flags, statement.where), rest.strip(), escape, statement)
    made = parse(clause)
    clause.flags.close()
    return made


def _from(clause: Clause) -> From:
    words = clause.blank_separated() if clause.rest else []
    alias = ""
    if len(words) == 3 and words[1].upper() == "AS":
        alias = words[2].lower()
        if not _STAGE_NAME.fullmatch(alias):
            raise clause.wrong(
                f"invalid name for build stage: {words[2][:80]!r}, "
                "name can't start with a number or contain symbols"
            )
    elif len(words) != 1:
        raise clause.wrong("FROM requires either one or three arguments: FROM image [AS name]")
    platform = clause.flags.text("platform")
    return From(
        text=clause.text, where=clause.where, image=words[0], platform=platform, alias=alias
    )


def _arg(clause: Clause) -> Arg:
    pairs: list[tuple[str, str | None]] = []
    for word in clause.quoted():
        name, equals, value = word.partition("=")
        if not name:
            raise clause.wrong("ARG names can not be blank")
        pairs.append((name, value if equals else None))
    return Arg(text=clause.text, where=clause.where, pairs=tuple(pairs))


def _env(clause: Clause) -> Env:
    pairs, legacy = clause.pairs()
    return Env(text=clause.text, where=clause.where, pairs=pairs, legacy=legacy)


def _label(clause: Clause) -> Label:
    pairs, legacy = clause.pairs()
    return Label(text=clause.text, where=clause.where, pairs=pairs, legacy=legacy)


def _maintainer(clause: Clause) -> Maintainer:
    return Maintainer(text=clause.text, where=clause.where, author=clause.whole())


def _workdir(clause: Clause) -> Workdir:
    return Workdir(text=clause.text, where=clause.where, path=clause.whole())


def _user(clause: Clause) -> User:
    return User(text=clause.text, where=clause.where, user=clause.whole())


def _stopsignal(clause: Clause) -> Stopsignal:
    return Stopsignal(text=clause.text, where=clause.where, signal=clause.whole())


def _volume(clause: Clause) -> Volume:
    words = clause.json()
    paths = tuple(clause.blank_separated()) if words is None else words
    if not paths:
        raise clause.wrong("VOLUME requires at least one argument")
    if not all(path.strip() for path in paths):
        raise clause.wrong("VOLUME specified can not be an empty string")
    return Volume(text=clause.text, where=clause.where, paths=paths)


def _expose(clause: Clause) -> Expose:
    return Expose(text=clause.text, where=clause.where, ports=tuple(clause.blank_separated()))


def _cmd(clause: Clause) -> Cmd:
    return Cmd(text=clause.text, where=clause.where, command=clause.command())


def _entrypoint(clause: Clause) -> Entrypoint:
    return Entrypoint(text=clause.text, where=clause.where, command=clause.command())


def _shell(clause: Clause) -> Shell:
    words = clause.json()
    if not words:
        raise clause.wrong('SHELL requires the arguments to be in JSON form: ["/bin/sh", "-c"]')
    return Shell(text=clause.text, where=clause.where, words=words)


def _healthcheck(clause: Clause) -> Healthcheck:
    found = _WORD.match(clause.rest)
    if found is None:
        raise clause.wrong("HEALTHCHECK requires at least one argument: CMD or NONE")
    kind, rest = found[1].upper(), clause.rest[found.end() :]
    if kind == "NONE":
        if rest:
            raise clause.wrong("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(text=clause.text, where=clause.where, test=("NONE",))
    if kind != "CMD":
        raise clause.wrong(f"Unknown type {found[1][:80]!r} in HEALTHCHECK (try CMD)")
    command = clause.command(rest)
    if not command.words:
        raise clause.wrong("Missing command after HEALTHCHECK CMD")
    times = [_health_time(clause, name) for name in _HEALTH_TIMES]
    return Healthcheck(
        text=clause.text,
        where=clause.where,
        test=("CMD-SHELL" if command.shell else "CMD", *command.words),
        interval=times[0],
        timeout=times[1],
        start_period=times[2],
        start_interval=times[3],
        retries=_retries(clause),
    )


def _health_time(clause: Clause, name: str) -> int:
    text = clause.flags.text(name, "0")
    nanoseconds = config_edits.health_time(text)
    if nanoseconds is None:
        raise clause.wrong(
            f"--{name} {text[:80]!r} is not a duration of 1ms or more: expected 30s or 1m30s"
        )
    return nanoseconds


def _retries(clause: Clause) -> int:
    text = clause.flags.text("retries", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise clause.wrong(f"--retries {text[:80]!r} is not a number of 0 or more")
    return int(text)


def _onbuild(clause: Clause) -> Onbuild:
    found = _WORD.match(clause.rest)
    if found is None:
        raise clause.wrong("ONBUILD requires at least one argument")
    trigger = found[1].upper()
    if trigger == "ONBUILD":
        raise clause.wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in _NOT_TRIGGERS:
        raise clause.wrong(f"{trigger} isn't allowed as an ONBUILD trigger")
    heredocs = clause.heredocs
    instruction(Statement(clause.rest, clause.where, heredocs), clause.escape)
    ends = (f"\n{heredoc.raw}{heredoc.name}" for heredoc in heredocs)
    return Onbuild(text=clause.text, where=clause.where, trigger="".join([clause.rest, *ends]))


_PARSERS: Mapping[str, Callable[[Clause], Instruction]] = {
    "ADD": add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
