"""The build checks by Docker's names: what each warns of, and in which words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lading.build.errors import Location
from lading.errors import Invalid

_SITE = "https://docs.docker.com/go/dockerfile/rule"
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

RULES: Mapping[str, str] = {
    "ConsistentInstructionCasing": "instructions are written in one case throughout a file",
    "CopyIgnoredFile": "what .dockerignore leaves out cannot be copied",
    "DuplicateStageName": "a stage's name is used once",
    "ExposeInvalidFormat": "EXPOSE takes ports, without an address or a port of the host",
    "ExposeProtoCasing": "protocols in EXPOSE are written in lower case",
    "FromAsCasing": "FROM and AS are written in the same case",
    "FromPlatformFlagConstDisallowed": "a platform written into FROM builds nowhere else",
    "InvalidDefaultArgInFrom": "a FROM should work with its arguments' defaults",
    "JSONArgsRecommended": "a shell in CMD or ENTRYPOINT keeps signals from the program",
    "LegacyKeyValueFormat": "pairs are written NAME=VALUE",
    "MaintainerDeprecated": "an author is written as a label",
    "MultipleInstructionsDisallowed": "of these instructions a stage's last one counts alone",
    "NoEmptyContinuation": "a continued line is followed by another",
    "RedundantTargetPlatform": "the target's platform is the default",
    "ReservedStageName": "a stage is not called by a reserved word",
    "SecretsUsedInArgOrEnv": "ARG and ENV stay readable in the image: no place for secrets",
    "StageNameCasing": "stages have names in lower case",
    "UndefinedArgInFrom": "a FROM uses arguments declared before it",
    "UndefinedVar": "variables are defined before they are used",
    "WorkdirRelativePath": "a relative WORKDIR depends on the base image",
}


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """One finding: the *rule*'s name, what is wrong, and where."""

    rule: str
    message: str
    where: Location

    @property
    def description(self) -> str:
        """What the rule asks for."""
        return RULES[self.rule]

    @property
    def url(self) -> str:
        """Where Docker explains the rule."""
        return f"{_SITE}/{'-'.join(_WORDS.split(self.rule)).lower()}/"


class ChecksFailed(Invalid):
    """Raised where a Dockerfile wants its warnings to be errors (``# check=error=true``)."""

    def __init__(self, warnings: Sequence[BuildWarning]) -> None:
        names = ", ".join(dict.fromkeys(warning.rule for warning in warnings))
        first = f"{warnings[0].where}: {warnings[0].message}"
        super().__init__(f"lint violation found for rules: {names}: {first}")
        self.warnings = tuple(warnings)
