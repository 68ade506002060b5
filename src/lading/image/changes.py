"""``--change``: Dockerfile instructions that change how an image runs (pure)."""

from __future__ import annotations

import json
import posixpath
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lading.errors import Invalid
from lading.image import times
from lading.image.words import expand, split

Run = dict[str, Any]

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_DEFAULT_SHELL = ("/bin/sh", "-c")
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
        self.run["Cmd"] = self._command(rest)

    def _entrypoint(self, rest: str) -> None:
        self.run["Entrypoint"] = self._command(rest) or None
        if not self._has_cmd:  # the command of another entry point would mislead
            self.run["Cmd"] = None

    def _command(self, rest: str) -> list[str]:
        words = _json_words(rest)
        if words is not None:
            return words
        return [*(self.run.get("Shell") or _DEFAULT_SHELL), rest] if rest else []

    def _env(self, rest: str) -> None:
        kept = list(self.run.get("Env") or ())
        for name, value in self._pairs("ENV", rest):
            entry = f"{name}={value}"
            same = [at for at, old in enumerate(kept) if old.partition("=")[0] == name]
            if same:
                kept[same[0]] = entry
            else:
                kept.append(entry)
        self.run["Env"] = kept

    def _label(self, rest: str) -> None:
        self.run["Labels"] = {**(self.run.get("Labels") or {}), **dict(self._pairs("LABEL", rest))}

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
        ports = dict(self.run.get("ExposedPorts") or {})
        for word in words:
            ports.update({port: {} for port in _ports(word)})
        self.run["ExposedPorts"] = ports

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
        words = _json_words(command.strip())
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
        self.run["OnBuild"] = [*(self.run.get("OnBuild") or ()), rest]

    def _shell(self, rest: str) -> None:
        words = _json_words(rest)
        if not words:
            raise InvalidChange("SHELL requires the arguments to be in JSON form")
        self.run["Shell"] = words

    def _stopsignal(self, rest: str) -> None:
        name = self._one("STOPSIGNAL", rest)
        if not _is_signal(name):
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
        words = _json_words(rest)
        if words is None:
            words = [self._expanded(word) for word in split(rest)]
        if not words or not all(word.strip() for word in words):
            raise InvalidChange("VOLUME specified can not be an empty string")
        self.run["Volumes"] = {**(self.run.get("Volumes") or {}), **{word: {} for word in words}}

    def _workdir(self, rest: str) -> None:
        path = self._expanded(rest)
        if not path:
            raise InvalidChange("WORKDIR requires exactly one argument")
        joined = posixpath.join("/", self.run.get("WorkingDir") or "/", path)
        self.run["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")


def _json_words(text: str) -> list[str] | None:
    """The words of the JSON form; None when *text* is not in that form."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
        json.dumps(words, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    is_words = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if is_words else None


def _ports(word: str) -> list[str]:
    found = _PORT.fullmatch(word.lower())
    first = int(found[1]) if found else 0
    last = int(found[2] or first) if found else 0
    if found is None or not 0 < first <= last <= 65535:
        raise InvalidChange(f"Invalid containerPort: {word[:80]}")
    return [f"{port}/{found[3] or 'tcp'}" for port in range(first, last + 1)]


def _health_option(name: str, value: str) -> Run:
    if name == "retries":
        if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0):
            raise InvalidChange(f"--retries must be at least 1, not {value[:80]!r}")
        return {"Retries": int(value)}
    field = _HEALTH_TIMES.get(name)
    seconds = times.duration(value)
    if field is None:
        raise InvalidChange(f"Unknown flag: {name[:80]}")
    if seconds is None or 0 < seconds < 0.001:
        raise InvalidChange(f"Interval {value[:80]!r} of --{name} is not a duration of 1ms or more")
    return {field: int(seconds * 1_000_000_000)}


def _is_signal(name: str) -> bool:
    if name.isascii() and name.isdigit():
        return len(name) < 3 and 0 < int(name) <= signal.SIGRTMAX
    plain = name.upper().removeprefix("SIG")
    if re.fullmatch(r"RTM(IN(\+\d{1,2})?|AX(-\d{1,2})?)", plain):
        return True
    return f"SIG{plain}" in signal.Signals.__members__
