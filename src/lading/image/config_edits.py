"""What each instruction does to Docker's ``Config`` object (pure): a new object every time."""

from __future__ import annotations

import json
import posixpath
import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lading.image import times

Run = dict[str, Any]

DEFAULT_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_LONGEST = 9_000_000_000  # seconds: what 64 bits of nanoseconds hold, nearly


def with_environment(run: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> Run:
    """ENV: a name that is there already keeps its place."""
    kept = {entry.partition("=")[0]: entry for entry in run.get("Env") or ()}
    return {**run, "Env": [*(kept | {name: f"{name}={value}" for name, value in pairs}).values()]}


def with_labels(run: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> Run:
    """LABEL."""
    return {**run, "Labels": {**(run.get("Labels") or {}), **dict(pairs)}}


def with_command(run: Mapping[str, Any], words: Sequence[str]) -> Run:
    """CMD."""
    return {**run, "Cmd": list(words)}


def with_entrypoint(run: Mapping[str, Any], words: Sequence[str], *, has_command: bool) -> Run:
    """ENTRYPOINT; the base's command would mislead, so it goes unless there is a new one."""
    entrypoint = {"Entrypoint": list(words) or None}
    return {**run, **entrypoint, "Cmd": run.get("Cmd") if has_command else None}


def with_ports(run: Mapping[str, Any], ports: Iterable[str]) -> Run:
    """EXPOSE, for ports such as ``80/tcp``."""
    exposed: Run = {port: {} for port in ports}
    return {**run, "ExposedPorts": {**(run.get("ExposedPorts") or {}), **exposed}}


def with_volumes(run: Mapping[str, Any], paths: Iterable[str]) -> Run:
    """VOLUME."""
    volumes: Run = {path: {} for path in paths}
    return {**run, "Volumes": {**(run.get("Volumes") or {}), **volumes}}


def with_trigger(run: Mapping[str, Any], instruction: str) -> Run:
    """ONBUILD."""
    return {**run, "OnBuild": [*(run.get("OnBuild") or ()), instruction]}


def with_workdir(run: Mapping[str, Any], path: str) -> Run:
    """WORKDIR, which may be relative to the one before."""
    joined = posixpath.join("/", run.get("WorkingDir") or "/", path)
    return {**run, "WorkingDir": "/" + posixpath.normpath(joined).lstrip("/")}


def json_words(text: str) -> list[str] | None:
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


def ports(word: str) -> list[str] | None:
    """Each port of ``80``, ``80-90`` or ``80/udp`` as ``80/tcp``; None for another text."""
    found = _PORT.fullmatch(word.lower())
    first = int(found[1]) if found else 0
    last = int(found[2] or first) if found else 0
    if found is None or not 0 < first <= last <= 65535:
        return None
    return [f"{port}/{found[3] or 'tcp'}" for port in range(first, last + 1)]


def health_time(text: str) -> int | None:
    """Nanoseconds of a health check's time; None unless it is 0 or 1ms to 285 years."""
    seconds = times.duration(text)
    if seconds is None or 0 < seconds < 0.001 or seconds > _LONGEST:
        return None
    return round(seconds * 1_000_000_000)


def is_signal(name: str) -> bool:
    """Whether *name* is a signal's name or number here."""
    if name.isascii() and name.isdigit():
        return len(name) < 3 and 0 < int(name) <= signal.SIGRTMAX
    plain = name.upper().removeprefix("SIG")
    if re.fullmatch(r"RTM(IN(\+\d{1,2})?|AX(-\d{1,2})?)", plain):
        return True
    return f"SIG{plain}" in signal.Signals.__members__
