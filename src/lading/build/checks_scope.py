"""The build checks that need to know which variables are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lading.build.dockerfile import Dockerfile, Stage
from lading.build.errors import InvalidDockerfile, suggestion
from lading.build.expand import expanded
from lading.build.instruction import From
from lading.build.rules import BuildWarning
from lading.build.scope import Scope
from lading.errors import Invalid
from lading.image.words import InvalidWord, expansion
from lading.oci.reference import Reference

_ALWAYS = ("PATH",)  # what a RUN has on every base


def scope_warnings(
    dockerfile: Dockerfile, scope: Scope, environments: Mapping[int, Mapping[str, str]]
) -> Iterator[BuildWarning]:
    """Variables that are not there, and defaults that give no base."""
    defaults = _defaults(dockerfile, scope)
    ends: dict[str, Scope | None] = {"scratch": scope.in_stage({})}
    for stage in dockerfile.stages:
        yield from _base(stage.origin, scope)
        yield from _default_base(stage.origin, defaults)
        image = expansion(stage.origin.image, scope.variables, escape=scope.escape).text.lower()
        base = ends.get(image)
        if base is None and stage.index in environments and image not in ends:
            base = scope.in_stage(environments[stage.index])
        end = base.in_stage(base.env) if base else None
        if end:
            warnings, end = _variables(stage, end)
            yield from warnings
        if stage.name:
            ends[stage.name] = end


def _variables(stage: Stage, scope: Scope) -> tuple[list[BuildWarning], Scope]:
    found: list[BuildWarning] = []
    declared = set(_ALWAYS)
    for instruction in stage.instructions:
        made, missing = expanded(instruction, scope)
        known = {*scope.variables, *declared}
        for name in missing:
            if name not in known:
                near = _near(name, known, "$")
                message = f"Usage of undefined variable '${name}'{near}"
                found.append(BuildWarning("UndefinedVar", message, instruction.where))
        declared |= {name for name, _ in getattr(made, "pairs", ()) if made.keyword == "ARG"}
        scope = scope.after(made)
    return found, scope


def _base(origin: From, scope: Scope) -> Iterator[BuildWarning]:
    for text in (origin.image, origin.platform):
        try:
            missing = expansion(text, scope.variables, escape=scope.escape).missing
        except InvalidWord as error:
            raise InvalidDockerfile(origin.where, str(error)) from None
        for name in missing:
            near = _near(name, scope.variables, "")
            message = f"FROM argument '{name}' is not declared{near}"
            yield BuildWarning("UndefinedArgInFrom", message, origin.where)


def _near(name: str, known: Iterable[str], sign: str) -> str:
    return suggestion(name, known).replace("mean ", f"mean {sign}")


def _defaults(dockerfile: Dockerfile, scope: Scope) -> Scope:
    """The file's scope if no build argument were given."""
    declared = {name for arg in dockerfile.args for name, _ in arg.pairs}
    known = {name: value for name, value in scope.args.items() if name not in declared}
    defaults = Scope(args=known, escape=scope.escape)
    for arg in dockerfile.args:
        defaults = defaults.after(arg)
    return defaults


def _default_base(origin: From, defaults: Scope) -> Iterator[BuildWarning]:
    if "$" not in origin.image:
        return
    try:
        read = expansion(origin.image, defaults.variables, escape=defaults.escape)
        Reference.parse(read.text)
    except Invalid:
        message = (
            f"Default value for ARG {origin.image} results in empty or invalid base image name"
        )
        yield BuildWarning("InvalidDefaultArgInFrom", message, origin.where)
