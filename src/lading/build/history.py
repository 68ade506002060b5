"""How an instruction reads in an image's history, as Docker's own builders write it (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from lading.build.instruction import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    Transfer,
    User,
    Volume,
    Workdir,
)
from lading.image.config_edits import DEFAULT_SHELL

_FROM_BUILDER = " # buildkit"  # what tools look for to tell such a line from a classic one


def makes_layer(instruction: Instruction) -> bool:
    """Whether a layer comes of it: RUN, COPY, ADD and WORKDIR."""
    return isinstance(instruction, Run | Transfer | Workdir)


def created_by(
    instruction: Instruction,
    *,
    shell: Sequence[str] = DEFAULT_SHELL,
    args: Sequence[str] = (),
) -> str:
    """The text of *instruction*, whose variables are in.

    *shell* is the image's, a WORKDIR holds the whole path; *args* are `Scope.used_args`: a RUN
    names what it was run with.
    """
    match instruction:
        case Run(command=command):
            words = " ".join(command.argv(tuple(shell)))
            seen = f"|{len(args)} {' '.join(args)} " if args else ""
            return f"RUN {seen}{words}{_FROM_BUILDER}"
        case Copy() | Add():
            return f"{_transfer(instruction)}{_FROM_BUILDER}"
        case Cmd(command=command) | Entrypoint(command=command):
            return f"{instruction.keyword} {_json(_words(command, shell))}"
        case Env(pairs=pairs) | Label(pairs=pairs):
            written = " ".join(f"{name}={value}" for name, value in pairs)
            return f"{instruction.keyword} {written}"
        case Arg(pairs=optional):
            return "ARG " + " ".join(n if v is None else f"{n}={v}" for n, v in optional)
    return f"{instruction.keyword} {_argument(instruction)}"


def _words(command: Command, shell: Sequence[str]) -> tuple[str, ...]:
    return command.argv(tuple(shell))


def _json(words: Sequence[str]) -> str:
    """Words as Docker prints a list of quoted strings."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "[" + " ".join(f'"{word}"' for word in escaped) + "]"


def _transfer(instruction: Copy | Add) -> str:
    options = [f"--chown={instruction.chown}"] if instruction.chown else []
    options += [f"--chmod={instruction.chmod}"] if instruction.chmod else []
    options += ["--link"] if instruction.link else []
    options += ["--parents"] if instruction.parents else []
    options += [f"--exclude={pattern}" for pattern in instruction.exclude]
    files = [f"<<{file.name}" for file in instruction.files]
    words = [*options, *instruction.sources, *files, instruction.destination]
    return f"{instruction.keyword} {' '.join(words)}"


def _argument(instruction: Instruction) -> str:
    match instruction:
        case Workdir(path=text) | User(user=text) | Stopsignal(signal=text):
            return text
        case Maintainer(author=text) | Onbuild(trigger=text):
            return text
        case Shell(words=words) | Volume(paths=words):
            return f"[{' '.join(words)}]"
        case Expose(ports=ports):
            return f"[{' '.join(ports)}]"
        case Healthcheck():
            return _health(instruction)
    return instruction.text.partition(" ")[2]


def _health(check: Healthcheck) -> str:
    """As Go prints the structure: quoted words and times, and the number as a character."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    written = " ".join(f'"{_duration(time)}"' for time in times)
    return f"&{{{_json(check.test)} {written} '\\x{check.retries & 0xFF:02x}'}}"


def _duration(nanoseconds: int) -> str:
    """A time as Go writes it: ``1m30s``."""
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1_000_000_000:.9f}".rstrip("0").rstrip(".")
    long = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    if not long and 0 < rest < 1_000_000_000:
        return f"{rest / 1_000_000:g}ms"
    return f"{long}{seconds}s"
