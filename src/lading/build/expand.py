"""Put the variables into an instruction: which of its words take them, and by which rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from lading.build import mounts
from lading.build.errors import InvalidDockerfile
from lading.build.instruction import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    InlineFile,
    Instruction,
    Label,
    Run,
    Stopsignal,
    Transfer,
    User,
    Volume,
    Workdir,
)
from lading.build.mounts import InvalidMount
from lading.build.scope import Scope
from lading.image import config_edits
from lading.image.words import Expansion, InvalidWord, expansion

I = TypeVar("I", bound=Instruction)  # noqa: E741  # an instruction, the same in and out


def expand(instruction: I, scope: Scope) -> I:
    """*instruction* with the variables of *scope* in it, quotes and escapes taken away.

    InvalidDockerfile.  What Docker leaves alone stays: commands, JSON health checks, SHELL,
    ONBUILD, MAINTAINER.
    """
    return expanded(instruction, scope)[0]


def expanded(instruction: I, scope: Scope) -> tuple[I, tuple[str, ...]]:
    """`expand`, and the names of the variables that are not set."""
    found = next((do for kind, do in _EXPANDERS if isinstance(instruction, kind)), None)
    if found is None:
        return instruction, ()
    words = _Words(instruction, scope)
    made = replace(instruction, **found(instruction, words))
    return made, tuple(words.missing)


@dataclass(slots=True)
class _Words:
    instruction: Instruction
    scope: Scope
    missing: dict[str, None] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.variables = self.scope.variables

    def one(self, text: str) -> str:
        return self._read(text).text

    def each(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.one(text) for text in texts)

    def several(self, texts: Iterable[str]) -> list[str]:
        """Words that are split after the variables are in."""
        return [word for text in texts for word in self._read(text).words]

    def file(self, file: InlineFile) -> InlineFile:
        """A heredoc: its quotes are its own, and only the backslash escapes."""
        if not file.expand:
            return file
        read = self._read(file.content, quotes=False, escape="\\")
        return InlineFile(file.name, read.text)

    def wrong(self, why: str) -> InvalidDockerfile:
        return InvalidDockerfile(self.instruction.where, why)

    def _read(self, text: str, *, quotes: bool = True, escape: str = "") -> Expansion:
        try:
            read = expansion(
                text, self.variables, escape=escape or self.scope.escape, quotes=quotes
            )
        except InvalidWord as error:
            raise self.wrong(str(error)) from None
        self.missing |= dict.fromkeys(read.missing)
        return read


def _pairs(instruction: Env | Label, words: _Words) -> dict[str, Any]:
    pairs = tuple((words.one(name), words.one(value)) for name, value in instruction.pairs)
    if not all(name for name, _ in pairs):
        raise words.wrong(f"{instruction.keyword} names can not be blank")
    return {"pairs": pairs}


def _arg(instruction: Arg, words: _Words) -> dict[str, Any]:
    """The values are the scope's to find; here they show what is not set."""
    names = tuple((words.one(name), default) for name, default in instruction.pairs)
    for name, default in names:
        if default is not None and name not in words.scope.given:
            words.variables = {**words.variables, name: words.one(default)}
    return {"pairs": names}


def _transfer(instruction: Transfer, words: _Words) -> dict[str, Any]:
    return {
        "sources": words.each(instruction.sources),
        "destination": words.one(instruction.destination),
        "files": tuple(words.file(file) for file in instruction.files),
        "chown": words.one(instruction.chown),
        "chmod": words.one(instruction.chmod),
        "exclude": words.each(instruction.exclude),
    }


def _add(instruction: Add, words: _Words) -> dict[str, Any]:
    return {**_transfer(instruction, words), "checksum": words.one(instruction.checksum)}


def _run(instruction: Run, words: _Words) -> dict[str, Any]:
    try:
        texts = words.each(instruction.mount_texts)
        return {"mounts": tuple(mounts.parse(text) for text in texts)}
    except InvalidMount as error:
        raise words.wrong(str(error)) from None


def _workdir(instruction: Workdir, words: _Words) -> dict[str, Any]:
    path = words.one(instruction.path)
    if not path:
        raise words.wrong("WORKDIR requires exactly one argument, and this one is empty")
    return {"path": path}


def _user(instruction: User, words: _Words) -> dict[str, Any]:
    return {"user": words.one(instruction.user)}


def _volume(instruction: Volume, words: _Words) -> dict[str, Any]:
    paths = words.each(instruction.paths)
    if not all(paths):
        raise words.wrong("VOLUME specified can not be an empty string")
    return {"paths": paths}


def _expose(instruction: Expose, words: _Words) -> dict[str, Any]:
    found: dict[str, None] = {}
    for word in words.several(instruction.ports):
        ports = config_edits.ports(word.rpartition(":")[2])
        if ports is None:
            raise words.wrong(f"Invalid containerPort: {word[:80]}: expected 80, 80/udp or 80-90")
        found |= dict.fromkeys(ports)
    return {"ports": tuple(found)}


def _stopsignal(instruction: Stopsignal, words: _Words) -> dict[str, Any]:
    signal = words.one(instruction.signal)
    if not config_edits.is_signal(signal):
        raise words.wrong(f"Invalid signal: {signal[:80]}")
    return {"signal": signal}


_EXPANDERS: tuple[tuple[type[Instruction], Callable[[Any, _Words], dict[str, Any]]], ...] = (
    (Add, _add),
    (Arg, _arg),
    (Copy, _transfer),
    (Env, _pairs),
    (Expose, _expose),
    (Label, _pairs),
    (Run, _run),
    (Stopsignal, _stopsignal),
    (User, _user),
    (Volume, _volume),
    (Workdir, _workdir),
)
