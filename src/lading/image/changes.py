"""``--change``: Dockerfile instructions that change how an image runs (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lading.errors import Invalid
from lading.image import config_edits
from lading.image.config_edits import DEFAULT_SHELL, Run, json_words
from lading.image.words import expand, split

_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


class InvalidChange(Invalid):
    """Raised for an instruction that cannot be used, in Docker's words."""


def apply_changes(run: Mapping[str, Any], changes: Iterable[str]) -> Run:
    """*run* (Docker's ``Config`` object) after the instructions *changes*; InvalidChange.

    CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER,
    VOLUME and WORKDIR; each text may hold several lines.
    """
    editor = _Editor(dict(run))
    for text in changes:
        for line in _lines(text):
            editor.apply(line)
    return editor.run


def _lines(text: str) -> list[str]:
    """Instructions, with continued lines joined and comments left out."""
    joined = re.sub(r"\\[ \t]*\r?\n", "", text)
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class _Editor:
    def __init__(self, run: Run) -> None:
        self.run = run
        self._has_cmd = False
        self._known: Mapping[str, Callable[[str], None]] = {
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "EXPOSE": self._expose,
            "HEALTHCHECK": self._healthcheck,
            "LABEL": self._label,
            "ONBUILD": self._onbuild,
            "SHELL": self._shell,
            "STOPSIGNAL": self._stopsignal,
            "USER": self._user,
            "VOLUME": self._volume,
            "WORKDIR": self._workdir,
        }

    def apply(self, line: str) -> None:
        word, _, rest = line.partition(" ") if "\t" not in line else line.partition("\t")
        instruction = self._known.get(word.upper())
        if instruction is None:
            raise InvalidChange(f"{word[:80].lower()} is not a valid change command")
        instruction(rest.strip())

    def _cmd(self, rest: str) -> None:
        self._has_cmd = True
        self.run = config_edits.with_command(self.run, self._command(rest))

    def _entrypoint(self, rest: str) -> None:
        words = self._command(rest)
        self.run = config_edits.with_entrypoint(self.run, words, has_command=self._has_cmd)

    def _command(self, rest: str) -> list[str]:
        words = json_words(rest)
        if words is not None:
            return words
        return [*(self.run.get("Shell") or DEFAULT_SHELL), rest] if rest else []

    def _env(self, rest: str) -> None:
        self.run = config_edits.with_environment(self.run, self._pairs("ENV", rest))

    def _label(self, rest: str) -> None:
        self.run = config_edits.with_labels(self.run, self._pairs("LABEL", rest))

    def _pairs(self, name: str, rest: str) -> list[tuple[str, str]]:
        """``k=v k2="v 2"``, or the old form ``k the whole rest``."""
        words = split(rest)
        if not words:
            raise InvalidChange(f"{name} requires at least one argument")
        if "=" not in words[0]:
            key, _, value = rest.partition(" ")
            if not value.strip():
                raise InvalidChange(f"{name} must have two arguments")
            return [(self._expanded(key), self._expanded(value.strip()))]
        return [self._pair(name, word) for word in words]

    def _pair(self, name: str, word: str) -> tuple[str, str]:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidChange(
                f"Syntax error - can't find = in {word[:80]!r}. Must be of the form: name=value"
            )
        if not key:
            raise InvalidChange(f"{name} names can not be blank")
        return self._expanded(key), self._expanded(value)

    def _expanded(self, text: str) -> str:
        pairs = (entry.partition("=") for entry in self.run.get("Env") or ())
        return expand(text, {name: value for name, _, value in pairs})

    def _expose(self, rest: str) -> None:
        words = [self._expanded(word) for word in split(rest)]
        if not words:
            raise InvalidChange("EXPOSE requires at least one argument")
        self.run = config_edits.with_ports(self.run, [p for word in words for p in _ports(word)])

    def _healthcheck(self, rest: str) -> None:
        check: Run = {}
        while found := _FLAG.match(rest):
            check |= _health_option(found[1], found[2] or "")
            rest = rest[found.end() :]
        kind, _, command = rest.partition(" ")
        if kind.upper() == "NONE":
            if command.strip() or check:
                raise InvalidChange("HEALTHCHECK NONE takes no arguments")
            self.run["Healthcheck"] = {"Test": ["NONE"]}
            return
        if kind.upper() != "CMD" or not command.strip():
            raise InvalidChange(f"Unknown type {kind[:80]!r} in HEALTHCHECK (try CMD)")
        words = json_words(command.strip())
        test = ["CMD", *words] if words else ["CMD-SHELL", command.strip()]
        self.run["Healthcheck"] = {"Test": test, **check}

    def _onbuild(self, rest: str) -> None:
        trigger = rest.partition(" ")[0].upper()
        if trigger == "ONBUILD":
            raise InvalidChange("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        if trigger in ("MAINTAINER", "FROM"):
            raise InvalidChange(f"{trigger} isn't allowed as an ONBUILD trigger")
        if not rest:
            raise InvalidChange("ONBUILD requires at least one argument")
        self.run = config_edits.with_trigger(self.run, rest)

    def _shell(self, rest: str) -> None:
        words = json_words(rest)
        if not words:
            raise InvalidChange("SHELL requires the arguments to be in JSON form")
        self.run["Shell"] = words

    def _stopsignal(self, rest: str) -> None:
        name = self._one("STOPSIGNAL", rest)
        if not config_edits.is_signal(name):
            raise InvalidChange(f"Invalid signal: {name[:80]}")
        self.run["StopSignal"] = name

    def _user(self, rest: str) -> None:
        self.run["User"] = self._one("USER", rest)

    def _one(self, name: str, rest: str) -> str:
        words = split(rest)
        if len(words) != 1:
            raise InvalidChange(f"{name} requires exactly one argument")
        return self._expanded(words[0])

    def _volume(self, rest: str) -> None:
        words = json_words(rest)
        if words is None:
            words = [self._expanded(word) for word in split(rest)]
        if not words or not all(word.strip() for word in words):
            raise InvalidChange("VOLUME specified can not be an empty string")
        self.run = config_edits.with_volumes(self.run, words)

    def _workdir(self, rest: str) -> None:
        path = self._expanded(rest)
        if not path:
            raise InvalidChange("WORKDIR requires exactly one argument")
        self.run = config_edits.with_workdir(self.run, path)


def _ports(word: str) -> list[str]:
    ports = config_edits.ports(word)
    if ports is None:
        raise InvalidChange(f"Invalid containerPort: {word[:80]}")
    return ports


def _health_option(name: str, value: str) -> Run:
    if name == "retries":
        if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0):
            raise InvalidChange(f"--retries must be at least 1, not {value[:80]!r}")
        return {"Retries": int(value)}
    field = _HEALTH_TIMES.get(name)
    if field is None:
        raise InvalidChange(f"Unknown flag: {name[:80]}")
    nanoseconds = config_edits.health_time(value)
    if nanoseconds is None:
        raise InvalidChange(f"Interval {value[:80]!r} of --{name} is not a duration of 1ms or more")
    return {field: nanoseconds}
