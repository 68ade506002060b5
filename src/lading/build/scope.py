"""Which variables a Dockerfile's line sees: ENV over ARG, build arguments over defaults (pure).

A scope is a value: an instruction gives the next one.  A stage sees a global ARG only when it
names it again; the predefined ones (proxies, platforms) are there as Docker has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from lading.build.errors import InvalidDockerfile
from lading.build.instruction import Arg, Env, Instruction
from lading.image.words import InvalidWord, expand
from lading.oci.platform import Platform

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PREDEFINED = frozenset(_PROXIES) | {name.lower() for name in _PROXIES}
_MOST_VALUE = 128 << 10  # what the kernel takes as one string of an environment
_MOST_TOTAL = 4 << 20
_MOST_VARIABLES = 4096
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scope:
    """*given* are the build arguments, *args* those declared here; both strings by name.

    *outer* are the global arguments: what ``ARG NAME`` in a stage takes its value from.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    outer: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    escape: str = "\\"

    @classmethod
    def of_file(
        cls,
        args: tuple[Arg, ...],
        given: Mapping[str, str],
        *,
        target: Platform,
        host: Platform,
        target_stage: str = "default",
        escape: str = "\\",
    ) -> Scope:
        """The scope of a file's FROM lines, after its global *args*; InvalidDockerfile."""
        platforms = {**_platform("TARGET", target), **_platform("BUILD", host)}
        known = {**platforms, "TARGETSTAGE": target_stage}
        overridden = {name: given[name] for name in known if name in given}
        scope = cls(given=given, args={**known, **overridden}, escape=escape)
        for arg in args:
            scope = scope.after(arg)
        return scope

    def in_stage(self, env: Mapping[str, str]) -> Scope:
        """The scope at the beginning of a stage, whose base has the environment *env*.

        Of the file's scope where the base is an image; of the base's last scope where it is a
        stage, whose arguments are handed down.
        """
        if self.outer:
            return replace(self, env=env)
        return replace(self, outer=self.args, args=_NOTHING, env=env)

    @property
    def variables(self) -> Mapping[str, str]:
        """What a word may use."""
        return {**self.args, **self.env}

    @property
    def environment(self) -> dict[str, str]:
        """What a RUN finds in its environment, the proxies that were given included."""
        proxies = {name: value for name, value in self.given.items() if name in PREDEFINED}
        return {**proxies, **self.args, **self.env}

    @property
    def used_args(self) -> tuple[str, ...]:
        """``NAME=value`` of each declared argument that a RUN sees, sorted.

        What a cache key and the history name; the proxies that no ARG declares stay out.
        """
        seen = (name for name in self.args if name not in self.env)
        return tuple(f"{name}={self.args[name]}" for name in sorted(seen))

    def after(self, instruction: Instruction) -> Scope:
        """The scope behind *instruction*; InvalidDockerfile where its values are too large.

        An Env must have been expanded; an Arg is expanded here, one name after the other.
        """
        if isinstance(instruction, Env):
            return replace(self, env={**self.env, **dict(instruction.pairs)})._checked(instruction)
        if not isinstance(instruction, Arg):
            return self
        scope = self
        for name, default in instruction.pairs:
            value = scope._argument(name, default, instruction)
            if value is not None:
                scope = replace(scope, args={**scope.args, name: value})
        return scope._checked(instruction)

    def _argument(self, name: str, default: str | None, arg: Arg) -> str | None:
        if name in self.given:
            return self.given[name]
        if default is None:
            return self.outer.get(name, self.args.get(name))
        try:
            return expand(default, self.variables, escape=self.escape)
        except InvalidWord as error:
            raise InvalidDockerfile(arg.where, str(error)) from None

    def _checked(self, instruction: Instruction) -> Scope:
        """Values that double with every line end here."""
        sizes = [len(value) for value in (*self.args.values(), *self.env.values())]
        if len(sizes) > _MOST_VARIABLES:
            why = f"there are more than {_MOST_VARIABLES} variables"
            raise InvalidDockerfile(instruction.where, why)
        if max(sizes, default=0) > _MOST_VALUE:
            why = f"the value of a variable is longer than {_MOST_VALUE} bytes"
            raise InvalidDockerfile(instruction.where, why)
        if sum(sizes) > _MOST_TOTAL:
            why = f"the variables together are larger than {_MOST_TOTAL} bytes"
            raise InvalidDockerfile(instruction.where, why)
        return self


def _platform(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": str(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }
