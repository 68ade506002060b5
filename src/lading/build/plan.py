"""Which stages a target needs, what each is built on, and in which order (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lading.build.dockerfile import Dockerfile, Stage
from lading.build.errors import InvalidDockerfile, Location, suggestion
from lading.build.instruction import Copy, From, Instruction, Run
from lading.build.scope import PREDEFINED, Scope
from lading.errors import Invalid
from lading.image.words import InvalidWord, expand
from lading.oci.platform import Platform
from lading.oci.reference import Reference

_SCRATCH = "scratch"


class NoSuchTarget(Invalid):
    """Raised for a target stage that the file does not have."""

    def __init__(self, file: str, target: str, known: Iterable[str]) -> None:
        near = suggestion(target, known)
        super().__init__(f"target stage {target[:80]!r} could not be found in {file}{near}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where files come from: a *stage* of the file, or an *image*; neither: scratch."""

    stage: int | None = None
    image: str = ""

    @property
    def is_scratch(self) -> bool:
        return self.stage is None and not self.image


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage with its FROM resolved; *platform* is "" for the target's."""

    index: int
    name: str
    base: Source
    platform: str
    instructions: tuple[Instruction, ...]
    where: Location
    origin: From

    @property
    def label(self) -> str:
        """What people call the stage: its name or its number."""
        return self.name or str(self.index)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every stage of *dockerfile*, and which one is the *target*; *scope* is the file's.

    *named* is the last stage of each name; *edges* are each stage's `needs`.
    """

    dockerfile: Dockerfile
    scope: Scope
    stages: tuple[PlannedStage, ...]
    target: int
    named: Mapping[str, int]
    edges: tuple[frozenset[int], ...] = ()

    def source(self, name: str, where: Location | None = None) -> Source:
        """What ``--from=name`` means: a stage's name, a stage's number, or an image."""
        if name.lower() == _SCRATCH:
            return Source()
        if name.lower() in self.named:
            return Source(self.named[name.lower()])
        where = where or self.stages[-1].where
        if _is_number(name):
            if int(name) < len(self.stages):
                return Source(int(name))
            expected = f"expected 0 to {len(self.stages) - 1}"
            raise InvalidDockerfile(where, f"invalid stage index {name}: {expected}")
        _check_image(name, where, self.named)
        return Source(image=name)

    def needs(self, index: int) -> frozenset[int]:
        """The stages that this one takes something from."""
        return self.edges[index]

    @property
    def order(self) -> tuple[int, ...]:
        """The stages that the target needs, each behind those that it needs itself."""
        return tuple(_ordered(self))

    @property
    def images(self) -> tuple[tuple[str, str], ...]:
        """The images from elsewhere that are needed, each with its platform ("": the target's)."""
        found: dict[tuple[str, str], None] = {}
        for index in self.order:
            stage = self.stages[index]
            if stage.base.image:
                found[stage.base.image, stage.platform] = None
            for instruction in stage.instructions:
                for name in sources_of(instruction):
                    image = self.source(name, instruction.where).image
                    found |= {(image, stage.platform): None} if image else {}
        return tuple(found)


def plan(dockerfile: Dockerfile, scope: Scope, target: str = "") -> Plan:
    """The plan for *target* (a name, a number, "" for the last); *scope* is `Scope.of_file`'s.

    InvalidDockerfile for a stage that is not there or needs itself; NoSuchTarget.
    """
    stages: list[PlannedStage] = []
    named: dict[str, int] = {}
    for stage in dockerfile.stages:
        stages.append(_planned(stage, named, scope))
        named |= {stage.name: stage.index} if stage.name else {}
    made = Plan(dockerfile, scope, tuple(stages), _target(dockerfile, named, target), named)
    made = replace(made, edges=tuple(_needs(made, stage) for stage in stages))
    _refuse_cycles(made)
    return made


def _needs(plan: Plan, stage: PlannedStage) -> frozenset[int]:
    found = {stage.base.stage}
    for instruction in stage.instructions:
        names = sources_of(instruction)
        found |= {plan.source(name, instruction.where).stage for name in names}
    return frozenset(number for number in found if number is not None)


def sources_of(instruction: Instruction) -> tuple[str, ...]:
    """The stages and images, by name, that *instruction* takes files from."""
    if isinstance(instruction, Copy):
        return (instruction.source_from,) if instruction.source_from else ()
    if isinstance(instruction, Run):
        return tuple(mount.source_from for mount in instruction.mounts if mount.source_from)
    return ()


def unused_build_args(plan: Plan, given: Mapping[str, str]) -> tuple[str, ...]:
    """The build arguments that no ARG asks for, predefined ones left out."""
    asked = {name for arg in plan.dockerfile.args for name, _ in arg.pairs}
    for index in plan.order:
        for instruction in plan.stages[index].instructions:
            asked |= {name for name, _ in getattr(instruction, "pairs", ())}
    known = asked | PREDEFINED | set(plan.scope.args)
    return tuple(sorted(name for name in given if name not in known))


def _planned(stage: Stage, named: Mapping[str, int], scope: Scope) -> PlannedStage:
    origin = stage.origin
    image = _expanded(origin.image, origin, scope)
    platform = _expanded(origin.platform, origin, scope)
    if not image:
        why = f"base name ({origin.image}) should not be blank: its variables have no value"
        raise InvalidDockerfile(origin.where, why)
    base = Source(named.get(image.lower()))
    if base.stage is None and image != _SCRATCH:
        base = Source(image=image)
        _check_image(image, origin.where, named)
    if platform:
        platform = _platform(platform, origin.where)
    return PlannedStage(
        stage.index, stage.name, base, platform, stage.instructions, origin.where, origin
    )


def _expanded(text: str, origin: From, scope: Scope) -> str:
    try:
        return expand(text, scope.variables, escape=scope.escape)
    except InvalidWord as error:
        raise InvalidDockerfile(origin.where, str(error)) from None


def _check_image(name: str, where: Location, stages: Iterable[str]) -> None:
    try:
        Reference.parse(name)
    except Invalid as error:
        near = suggestion(name.lower(), stages)
        raise InvalidDockerfile(where, f"{error}: expected a stage or an image{near}") from None


def _platform(text: str, where: Location) -> str:
    try:
        return str(Platform.parse(text))
    except Invalid as error:
        raise InvalidDockerfile(where, f"failed to parse platform: {error}") from None


def _target(dockerfile: Dockerfile, named: Mapping[str, int], target: str) -> int:
    if not target:
        return len(dockerfile.stages) - 1
    if target.lower() in named:
        return named[target.lower()]
    if _is_number(target) and int(target) < len(dockerfile.stages):
        return int(target)
    raise NoSuchTarget(dockerfile.file, target, named)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def _ordered(plan: Plan) -> Iterator[int]:
    """Depth first, without recursion: a file may have thousands of stages, one on the other."""
    done, open_stages = set[int](), [plan.target]
    while open_stages:
        index = open_stages[-1]
        missing = sorted(plan.needs(index) - done, reverse=True)
        if index in done or not missing:
            open_stages.pop()
            if index not in done:
                done.add(index)
                yield index
        else:
            open_stages += missing


def _refuse_cycles(plan: Plan) -> None:
    """InvalidDockerfile where a stage needs itself, by however many others."""
    missing = [len(needs) for needs in plan.edges]
    needed_by: list[list[int]] = [[] for _ in missing]
    for index, needs in enumerate(plan.edges):
        for other in needs:
            needed_by[other].append(index)
    free = [index for index, count in enumerate(missing) if not count]
    while free:
        for index in needed_by[free.pop()]:
            missing[index] -= 1
            if not missing[index]:
                free.append(index)
    stuck = next((plan.stages[index] for index, count in enumerate(missing) if count), None)
    if stuck:
        why = f"circular dependency detected on stage: {stuck.label}"
        raise InvalidDockerfile(stuck.where, why)
