"""What a container is, from what was asked and what its image says (pure).

The rules are Docker's: what is asked for wins, sets are joined, and an entrypoint of its own
makes the image's command void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lading.container import health
from lading.container.options import Config, Healthcheck, decode
from lading.errors import Invalid


class NoCommand(Invalid):
    """Raised where neither the request nor the image says what to run, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("no command specified")


def merged(asked: Config, run: Mapping[str, Any]) -> Config:
    """*asked*, completed by the image's *run* (its ``config`` object)."""
    entrypoint, cmd = _command(asked, run)
    return msgspec.structs.replace(
        asked,
        user=asked.user or run.get("User") or "",
        working_dir=asked.working_dir or run.get("WorkingDir") or "",
        stop_signal=asked.stop_signal or run.get("StopSignal") or "",
        env=_env(asked.env or [], run.get("Env") or []) or None,
        entrypoint=entrypoint,
        cmd=cmd,
        exposed_ports=_joined(asked.exposed_ports, run.get("ExposedPorts")),
        volumes=_joined(asked.volumes, run.get("Volumes")),
        labels={**(run.get("Labels") or {}), **(asked.labels or {})},
        shell=asked.shell or run.get("Shell"),
        healthcheck=health.merged(asked.healthcheck, _healthcheck(run.get("Healthcheck"))),
    )


def argv(config: Config) -> list[str]:
    """The words to run; NoCommand."""
    words = [*(config.entrypoint or ()), *(config.cmd or ())]
    if not words or not words[0]:
        raise NoCommand
    return words


def _command(asked: Config, run: Mapping[str, Any]) -> tuple[list[str] | None, list[str] | None]:
    entrypoint, cmd = asked.entrypoint, asked.cmd
    if not entrypoint:
        cmd = cmd or _words(run.get("Cmd"))
        if entrypoint is None:
            entrypoint = _words(run.get("Entrypoint"))
    return (None if entrypoint == [""] else entrypoint), cmd


def _healthcheck(image: Mapping[str, Any] | None) -> Healthcheck | None:
    return decode(msgspec.json.encode(image), Healthcheck) if image else None


def _words(value: list[str] | str | None) -> list[str] | None:
    return [value] if isinstance(value, str) else value


def _env(asked: Sequence[str], image: Sequence[str]) -> list[str]:
    """The variables asked for, then those of the image that they do not replace."""
    names = {variable.partition("=")[0] for variable in asked}
    return [*asked, *(v for v in image if v.partition("=")[0] not in names)]


def _joined(
    asked: Mapping[str, Any] | None, image: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]] | None:
    names = [*(image or {}), *(asked or {})]
    return {name: {} for name in names} or None
