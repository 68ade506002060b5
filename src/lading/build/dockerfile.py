"""A Dockerfile as a value: its directives, its global arguments, its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lading.build import lines
from lading.build.directives import Directives
from lading.build.errors import InvalidDockerfile, Location
from lading.build.instruction import Arg, From, Instruction
from lading.build.lines import Statement
from lading.build.parse import instruction

_MOST_STATEMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """What begins with a FROM: its number, and the instructions up to the next one."""

    index: int
    origin: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """The name after AS, in lower case; "" where there is none."""
        return self.origin.alias

    @property
    def label(self) -> str:
        """What people call the stage: its name or its number."""
        return self.name or str(self.index)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """*args* stand before the first FROM; *statements* are all of it, as written."""

    file: str
    directives: Directives
    args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    statements: tuple[Statement, ...]


def parse(raw: bytes, file: str = "Dockerfile") -> Dockerfile:
    """The Dockerfile whose bytes are *raw*; *file* is its name in errors; InvalidDockerfile."""
    directives, statements = lines.read(raw, file)
    if len(statements) > _MOST_STATEMENTS:
        where = statements[_MOST_STATEMENTS].where
        raise InvalidDockerfile(where, f"holds more than {_MOST_STATEMENTS} instructions")
    args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for statement in statements:
        made = instruction(statement, directives.escape)
        if isinstance(made, From):
            stages.append((made, []))
        elif stages:
            stages[-1][1].append(made)
        elif isinstance(made, Arg):
            args.append(made)
        else:
            raise InvalidDockerfile(
                statement.where, "no build stage in current context: expected FROM"
            )
    if not stages:
        raise InvalidDockerfile(
            statements[-1].where, "dockerfile contains no stages to build: expected FROM"
        )
    numbered = (Stage(n, origin, tuple(found)) for n, (origin, found) in enumerate(stages))
    return Dockerfile(file, directives, tuple(args), tuple(numbered), statements)


def parse_triggers(texts: Sequence[str], image: str) -> tuple[Instruction, ...]:
    """The instructions of an image's OnBuild; InvalidDockerfile, with the image for a file."""
    found: list[Instruction] = []
    for number, text in enumerate(texts, 1):
        where = Location(f"{image} (ONBUILD)", number, number)
        _, statements = lines.read(text.encode(errors="replace"), where.file)
        if len(statements) != 1:
            raise InvalidDockerfile(where, "expected one instruction in a trigger")
        made = instruction(replace(statements[0], where=where), "\\")
        if made.keyword in ("FROM", "ONBUILD", "MAINTAINER"):
            raise InvalidDockerfile(where, f"{made.keyword} isn't allowed as an ONBUILD trigger")
        found.append(made)
    return tuple(found)
