"""``lading build --check``: what is allowed in a Dockerfile, and will be regretted (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from lading.build.checks_scope import scope_warnings
from lading.build.dockerfile import Dockerfile, Stage
from lading.build.errors import Location
from lading.build.ignore import Ignore
from lading.build.instruction import (
    Arg,
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Shell,
    Transfer,
    Workdir,
)
from lading.build.rules import BuildWarning, ChecksFailed
from lading.build.scope import Scope
from lading.errors import Invalid
from lading.oci.platform import Platform

__all__ = ["BuildWarning", "ChecksFailed", "check", "refuse"]

_SECRET = re.compile(
    r"(?i:(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$))"
)
_NO_SECRET = re.compile(r"(?i:(?:_|^)public(?:_|$))")
_TARGET = ("$TARGETPLATFORM", "${TARGETPLATFORM}")
_RESERVED = ("context", "scratch")


def check(
    dockerfile: Dockerfile,
    scope: Scope,
    *,
    ignore: Ignore | None = None,
    environments: Mapping[int, Mapping[str, str]] | None = None,
) -> tuple[BuildWarning, ...]:
    """The warnings that *dockerfile* does not skip, by line.

    *scope* is `Scope.of_file`'s; *environments* are those of base images, by stage: where one
    is missing, nothing is said of undefined variables.  InvalidDockerfile for a word that
    cannot be expanded.
    """
    skip = dockerfile.directives.check.skip
    if "all" in skip:
        return ()
    found = [*_casing(dockerfile), *_names(dockerfile)]
    found += scope_warnings(dockerfile, scope, environments or {})
    found += [warning for arg in dockerfile.args for warning in _secrets(arg)]
    for stage in dockerfile.stages:
        found += [*_platform(stage), *_once(stage), *_json(stage)]
        for instruction in stage.instructions:
            found += [each for rule in _SINGLE for each in rule(instruction)]
            found += _ignored(instruction, ignore)
    found += _workdirs(dockerfile)
    kept = {warning for warning in found if warning.rule not in skip}
    return tuple(sorted(kept, key=lambda warning: (warning.where, warning.rule, warning.message)))


def refuse(dockerfile: Dockerfile, warnings: tuple[BuildWarning, ...]) -> None:
    """ChecksFailed where there are warnings and the file calls them errors."""
    if warnings and dockerfile.directives.check.error:
        raise ChecksFailed(warnings)


def _keyword(text: str) -> str:
    return text.split(maxsplit=1)[0]


def _casing(dockerfile: Dockerfile) -> Iterator[BuildWarning]:
    words = [(_keyword(statement.text), statement) for statement in dockerfile.statements]
    lower = sum(word.islower() for word, _ in words) > sum(word.isupper() for word, _ in words)
    wanted = "lowercase" if lower else "uppercase"
    for word, statement in words:
        if word != (word.lower() if lower else word.upper()):
            message = f"Command '{word}' should match the case of the command majority ({wanted})"
            yield BuildWarning("ConsistentInstructionCasing", message, statement.where)
        if statement.blank:
            where = replace(statement.where, first=statement.blank)
            yield BuildWarning("NoEmptyContinuation", "Empty continuation line", where)


def _names(dockerfile: Dockerfile) -> Iterator[BuildWarning]:
    seen = set[str]()
    for stage in dockerfile.stages:
        origin, name = stage.origin, stage.name
        if not name:
            continue
        *_, as_word, written = origin.text.split()
        from_word = _keyword(origin.text)
        if written != name:
            message = f"Stage name '{written}' should be lowercase"
            yield BuildWarning("StageNameCasing", message, origin.where)
        if as_word != (as_word.lower() if from_word.islower() else as_word.upper()):
            message = f"'{as_word}' and '{from_word}' keywords' casing do not match"
            yield BuildWarning("FromAsCasing", message, origin.where)
        if name in seen:
            message = f'Duplicate stage name "{name}", stage names should be unique'
            yield BuildWarning("DuplicateStageName", message, origin.where)
        if name in _RESERVED:
            message = f'Stage name should not use the same name as reserved stage "{name}"'
            yield BuildWarning("ReservedStageName", message, origin.where)
        seen.add(name)


def _platform(stage: Stage) -> Iterator[BuildWarning]:
    written, where = stage.origin.platform, stage.origin.where
    if written in _TARGET:
        message = (
            f"Setting platform to predefined {written} in FROM is redundant "
            "as this is the default behavior"
        )
        yield BuildWarning("RedundantTargetPlatform", message, where)
    if not written or "$" in written:
        return
    try:
        platform = Platform.parse(written)
    except Invalid:
        return
    if platform.os not in stage.name and platform.architecture not in stage.name:
        message = f'FROM --platform flag should not use constant value "{written}"'
        yield BuildWarning("FromPlatformFlagConstDisallowed", message, where)


def _once(stage: Stage) -> Iterator[BuildWarning]:
    """Each but the last: that is the one that is in vain."""
    last: dict[str, Location] = {}
    for instruction in stage.instructions:
        if not isinstance(instruction, Cmd | Entrypoint | Healthcheck):
            continue
        name = instruction.keyword
        if name in last:
            message = (
                f"Multiple {name} instructions should not be used in the same stage "
                "because only the last one will be used"
            )
            yield BuildWarning("MultipleInstructionsDisallowed", message, last[name])
        last[name] = instruction.where


def _json(stage: Stage) -> Iterator[BuildWarning]:
    for instruction in stage.instructions:
        if isinstance(instruction, Shell):
            return  # whoever chooses a shell wants it
        if isinstance(instruction, Cmd | Entrypoint) and instruction.command.shell:
            message = (
                f"JSON arguments recommended for {instruction.keyword} "
                "to prevent unintended behavior related to OS signals"
            )
            yield BuildWarning("JSONArgsRecommended", message, instruction.where)


def _secrets(instruction: Instruction) -> Iterator[BuildWarning]:
    if not isinstance(instruction, Arg | Env):
        return
    for name, _ in instruction.pairs:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            message = (
                "Do not use ARG or ENV instructions for sensitive data "
                f'({instruction.keyword} "{name}")'
            )
            yield BuildWarning("SecretsUsedInArgOrEnv", message, instruction.where)


def _legacy(instruction: Instruction) -> Iterator[BuildWarning]:
    if isinstance(instruction, Env | Label) and instruction.legacy:
        name = instruction.keyword
        message = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
        yield BuildWarning("LegacyKeyValueFormat", message, instruction.where)


def _maintainer(instruction: Instruction) -> Iterator[BuildWarning]:
    if isinstance(instruction, Maintainer):
        message = "Maintainer instruction is deprecated in favor of using label"
        yield BuildWarning("MaintainerDeprecated", message, instruction.where)


def _ports(instruction: Instruction) -> Iterator[BuildWarning]:
    if not isinstance(instruction, Expose):
        return
    for port in instruction.ports:
        protocol = port.partition("/")[2]
        if "$" not in protocol and protocol != protocol.lower():
            message = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield BuildWarning("ExposeProtoCasing", message, instruction.where)
        if "$" not in port and ":" in port:
            message = (
                "EXPOSE instruction should not define an IP address or host-port mapping, "
                f"found '{port}'"
            )
            yield BuildWarning("ExposeInvalidFormat", message, instruction.where)


def _ignored(instruction: Instruction, ignore: Ignore | None) -> Iterator[BuildWarning]:
    """An exception may keep what is below a directory, so a file with any is not judged."""
    if not isinstance(instruction, Transfer) or ignore is None or ignore.has_exceptions:
        return
    if getattr(instruction, "source_from", ""):
        return
    verb = instruction.keyword.capitalize()
    for source in instruction.sources:
        path = source.strip("/").removeprefix("./")
        if path and "$" not in path and "://" not in path and ignore.excludes(path):
            message = f'Attempting to {verb} file "{path}" that is excluded by .dockerignore'
            yield BuildWarning("CopyIgnoredFile", message, instruction.where)


def _workdirs(dockerfile: Dockerfile) -> Iterator[BuildWarning]:
    """The first WORKDIR of a stage and of those it is built on, if it is relative."""
    set_in: dict[str, bool] = {}
    for stage in dockerfile.stages:
        is_set = set_in.get(stage.origin.image.lower(), False)
        for instruction in stage.instructions:
            if not isinstance(instruction, Workdir):
                continue
            if not is_set and not instruction.path.startswith(("/", "$", '"/', "'/", '"$')):
                message = (
                    f'Relative workdir "{instruction.path}" can have unexpected results '
                    "if the base image changes"
                )
                yield BuildWarning("WorkdirRelativePath", message, instruction.where)
            is_set = True
        if stage.name:
            set_in[stage.name] = is_set


_SINGLE: tuple[Callable[[Instruction], Iterator[BuildWarning]], ...] = (
    _secrets,
    _legacy,
    _maintainer,
    _ports,
)
