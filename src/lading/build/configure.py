"""What an image's ``config`` is after an instruction (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lading.build.instruction import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from lading.image import config_edits
from lading.image.config_edits import DEFAULT_SHELL, Run


def apply(config: Mapping[str, Any], instruction: Instruction, *, has_command: bool = False) -> Run:
    """Docker's ``Config`` object after *instruction*, whose variables are in.

    *has_command*: a CMD came before in this stage, or in a stage of the file that it is built
    on; ENTRYPOINT keeps that one alone.
    """
    match instruction:
        case Cmd(command=command):
            return config_edits.with_command(config, _words(command, config))
        case Entrypoint(command=command):
            words = _words(command, config)
            return config_edits.with_entrypoint(config, words, has_command=has_command)
        case Env(pairs=pairs):
            return config_edits.with_environment(config, pairs)
        case Label(pairs=pairs):
            return config_edits.with_labels(config, pairs)
        case Expose(ports=ports):
            return config_edits.with_ports(config, ports)
        case Volume(paths=paths):
            return config_edits.with_volumes(config, paths)
        case Onbuild(trigger=trigger):
            return config_edits.with_trigger(config, trigger)
        case Workdir(path=path):
            return config_edits.with_workdir(config, path)
    return {**config, **_field(instruction)}


def shell_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The shell that the shell form is given to."""
    return tuple(config.get("Shell") or DEFAULT_SHELL)


def start_stage(config: Mapping[str, Any]) -> Run:
    """What a stage begins with on a base that has *config*: the triggers have gone off."""
    return {name: value for name, value in config.items() if name != "OnBuild"}


def _words(command: Command, config: Mapping[str, Any]) -> tuple[str, ...]:
    return command.argv(shell_of(config))


def _field(instruction: Instruction) -> Run:
    match instruction:
        case User(user=user):
            return {"User": user}
        case Stopsignal(signal=signal):
            return {"StopSignal": signal}
        case Shell(words=words):
            return {"Shell": list(words)}
        case Healthcheck():
            return {"Healthcheck": _health(instruction)}
    return {}


def _health(check: Healthcheck) -> Run:
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {"Test": list(check.test), **{name: value for name, value in times.items() if value}}
