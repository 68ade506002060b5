"""Compare two answers: their status, their kind, and the shape of what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from compat.both_engines import Ask
from engine_client import Answer

# Fields whose keys are data, not names of fields.
MAPS = frozenset(
    {
        "Annotations", "Attributes", "Config.Volumes", "Containers", "DriverStatus", "ExposedPorts",
        "IndexConfigs", "Labels", "LogConfig.Config", "Networks", "Options", "PortBindings",
        "Ports", "Runtimes", "StorageOpt", "Sysctls", "Tmpfs", "Volumes", "networks", "stats",
        "GraphDriver.Data", "Details",
    }
)  # fmt: skip

MOMENTARY = frozenset({"ExecIDs", "Log"})  # a health check may run, or not


def differences(ask: Ask, lading: Answer, docker: Answer) -> list[str]:
    """What *lading* answers otherwise than *docker*: one line each."""
    if lading.status != docker.status:
        return [f"status {lading.status}, not {docker.status}: {_told(lading)} | {_told(docker)}"]
    mine, its = (
        each.headers.get("content-type", "").partition(";")[0] for each in (lading, docker)
    )
    if mine != its:
        return [f"content type {mine!r}, not {its!r}"]
    if its != "application/json" or not (lading.body and docker.body):
        return []
    ours, theirs = _json(lading), _json(docker)
    return list(_shape(ours, theirs, ""))


def _told(answer: Answer) -> str:
    return answer.body[:160].decode(errors="replace").strip()


def _json(answer: Answer) -> Any:
    """The document; of several, the last."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return json.loads(answer.body.splitlines()[-1])


def _shape(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if _kind(ours) != _kind(theirs):
        yield f"{path or 'it'} is {_kind(ours)}, not {_kind(theirs)}"
    elif isinstance(theirs, dict):
        yield from _of_objects(ours, theirs, path)
    elif isinstance(theirs, list) and ours and theirs:
        yield from _of_lists(ours, theirs, f"{path}[]")


def _of_lists(ours: list[Any], theirs: list[Any], path: str) -> list[str]:
    """In whatever order: each of theirs is held against the one of ours that is most like it."""
    closest = (min((list(_shape(mine, its, path)) for mine in ours), key=len) for its in theirs)
    return list(dict.fromkeys(line for lines in closest for line in lines))


def _of_objects(ours: dict[str, Any], theirs: dict[str, Any], path: str) -> Iterator[str]:
    if _is_map(path):
        if ours and theirs:
            yield from _shape(next(iter(ours.values())), next(iter(theirs.values())), f"{path}{{}}")
        return
    for name, value in theirs.items():
        inside = f"{path}.{name}" if path else name
        if name in MOMENTARY:
            continue
        if name in ours:
            yield from _shape(ours[name], value, inside)
        else:
            yield f"{inside} is missing"


def _is_map(path: str) -> bool:
    names = path.replace("[]", "").split(".")
    return names[-1] in MAPS or ".".join(names[-2:]) in MAPS


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    return {str: "text", list: "a list", dict: "an object"}[type(value)]
