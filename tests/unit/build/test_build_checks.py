"""The checks warn of what Docker warns of, by its names, at the line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lading.build.checks import BuildWarning, ChecksFailed, check, refuse
from lading.build.dockerfile import parse
from lading.build.ignore import Ignore
from lading.build.rules import RULES
from lading.build.scope import Scope
from lading.oci.platform import Platform

HERE = Platform("linux", "amd64")


def warnings(
    text: str,
    *,
    ignore: str = "",
    env: Mapping[int, Mapping[str, str]] | None = None,
    **given: str,
) -> tuple[BuildWarning, ...]:
    made = parse(text.encode())
    scope = Scope.of_file(made.args, given, target=HERE, host=HERE)
    patterns = Ignore.parse(ignore.encode()) if ignore else None
    bases = {stage.index: {} for stage in made.stages} if env is None else env
    return check(made, scope, ignore=patterns, environments=bases)


def found(text: str, **options: str) -> list[tuple[int, str]]:
    return [(w.where.first, w.rule) for w in warnings(text, **options)]


@pytest.mark.parametrize(
    ("text", "line", "rule", "message"),
    [
        ("FROM a AS Build", 1, "StageNameCasing", "Stage name 'Build' should be lowercase"),
        ("FROM a as b", 1, "FromAsCasing", "'as' and 'FROM' keywords' casing do not match"),
        ("FROM a\nRUN b \\\n\n c", 3, "NoEmptyContinuation", "Empty continuation line"),
        (
            "FROM a\nRun b",
            2,
            "ConsistentInstructionCasing",
            "Command 'Run' should match the case of the command majority (uppercase)",
        ),
        (
            "from a\nrun b\nUSER c",
            3,
            "ConsistentInstructionCasing",
            "Command 'USER' should match the case of the command majority (lowercase)",
        ),
        (
            "FROM a AS b\nFROM a AS b",
            2,
            "DuplicateStageName",
            'Duplicate stage name "b", stage names should be unique',
        ),
        (
            "FROM a AS scratch",
            1,
            "ReservedStageName",
            'Stage name should not use the same name as reserved stage "scratch"',
        ),
        (
            "FROM a\nCMD b",
            2,
            "JSONArgsRecommended",
            "JSON arguments recommended for CMD to prevent unintended behavior "
            "related to OS signals",
        ),
        (
            "FROM a\nMAINTAINER b",
            2,
            "MaintainerDeprecated",
            "Maintainer instruction is deprecated in favor of using label",
        ),
        (
            "ARG VERSION=1\nFROM a:1${VERSIONX}",
            2,
            "UndefinedArgInFrom",
            "FROM argument 'VERSIONX' is not declared (did you mean VERSION?)",
        ),
        (
            "FROM a\nWORKDIR b",
            2,
            "WorkdirRelativePath",
            'Relative workdir "b" can have unexpected results if the base image changes',
        ),
        (
            "FROM a\nARG version=1\nENV x=$versionx",
            3,
            "UndefinedVar",
            "Usage of undefined variable '$versionx' (did you mean $version?)",
        ),
        (
            'FROM a\nCMD ["b"]\nCMD ["c"]',
            2,
            "MultipleInstructionsDisallowed",
            "Multiple CMD instructions should not be used in the same stage "
            "because only the last one will be used",
        ),
        (
            "FROM a\nENV b c",
            2,
            "LegacyKeyValueFormat",
            '"ENV key=value" should be used instead of legacy "ENV key value" format',
        ),
        (
            "FROM --platform=$TARGETPLATFORM a",
            1,
            "RedundantTargetPlatform",
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant "
            "as this is the default behavior",
        ),
        (
            "FROM --platform=linux/amd64 a",
            1,
            "FromPlatformFlagConstDisallowed",
            'FROM --platform flag should not use constant value "linux/amd64"',
        ),
        (
            "FROM a\nARG DB_PASSWORD",
            2,
            "SecretsUsedInArgOrEnv",
            'Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD")',
        ),
        (
            "FROM a\nENV api_key=x",
            2,
            "SecretsUsedInArgOrEnv",
            'Do not use ARG or ENV instructions for sensitive data (ENV "api_key")',
        ),
        (
            "FROM a\nEXPOSE 80/TCP",
            2,
            "ExposeProtoCasing",
            "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
        ),
        (
            "FROM a\nEXPOSE 1.2.3.4:80:80",
            2,
            "ExposeInvalidFormat",
            "EXPOSE instruction should not define an IP address or host-port mapping, "
            "found '1.2.3.4:80:80'",
        ),
    ],
)
def test_a_rule_warns_with_its_line_in_docker_s_words(
    text: str, line: int, rule: str, message: str
) -> None:
    (warning,) = warnings(text)
    assert (warning.rule, warning.where.first, warning.message) == (rule, line, message)
    assert warning.description == RULES[rule]


def test_a_default_that_gives_no_base_is_told_even_where_an_argument_mends_it() -> None:
    (warning,) = warnings("ARG TAG\nFROM a:${TAG}", TAG="1")
    assert warning.rule == "InvalidDefaultArgInFrom"
    assert warning.message == (
        "Default value for ARG a:${TAG} results in empty or invalid base image name"
    )


def test_a_file_that_is_ignored_cannot_be_copied() -> None:
    text = "FROM a\nCOPY src/x.md /x\nADD ./docs /d\nCOPY --from=b docs /d\nCOPY other /o"
    said = warnings(text, ignore="docs\n**/*.md")
    assert [(w.where.first, w.message) for w in said] == [
        (2, 'Attempting to Copy file "src/x.md" that is excluded by .dockerignore'),
        (3, 'Attempting to Add file "docs" that is excluded by .dockerignore'),
    ]
    assert not warnings("FROM a\nCOPY docs /d", ignore="docs\n!docs/kept")


@pytest.mark.parametrize(
    "text",
    [
        "FROM a AS b\nRUN c",
        "from a as b\nrun c",
        'FROM a\nSHELL ["/bin/bash", "-c"]\nCMD b',
        'FROM a\nCMD ["b"]\nENTRYPOINT ["c"]\nHEALTHCHECK NONE',
        'FROM a AS x\nCMD ["b"]\nFROM x\nCMD ["c"]',
        "FROM a\nWORKDIR /b\nWORKDIR c",
        "FROM a AS x\nWORKDIR /b\nFROM x\nWORKDIR c",
        "FROM a\nARG d=/x\nWORKDIR $d",
        "FROM a\nENV PATH=$PATH:/x",
        "FROM a\nARG b\nENV c=$b",
        "FROM a\nENV c=${b:-d} e=${f+g}",
        "FROM a\nRUN echo $undefined",
        "FROM a AS x\nENV b=1\nFROM x\nENV c=$b",
        "FROM a AS x\nARG b=1\nFROM x\nENV c=$b",
        "FROM --platform=$BUILDPLATFORM a",
        "FROM --platform=linux/arm64 a AS build-arm64",
        "FROM a\nARG PUBLIC_KEY\nENV monkey=1 KEYBOARD=2",
        "ARG x=1\nFROM a:$x",
        "FROM a:${TARGETARCH}",
        "FROM scratch\nARG x=1\nLABEL v=$x",
    ],
)
def test_good_habits_are_not_warned_of(text: str) -> None:
    assert warnings(text) == ()


def test_an_unknown_base_says_nothing_of_variables() -> None:
    text = "FROM a\nENV b=$c"
    assert [w.rule for w in warnings(text)] == ["UndefinedVar"]
    assert warnings(text, env={}) == ()
    assert warnings(text, env={0: {"c": "1"}}) == ()


def test_warnings_come_by_line() -> None:
    text = "FROM a as B\nENV b c\nMAINTAINER d\nCMD e"
    assert found(text) == [
        (1, "FromAsCasing"),
        (1, "StageNameCasing"),
        (2, "LegacyKeyValueFormat"),
        (3, "MaintainerDeprecated"),
        (4, "JSONArgsRecommended"),
    ]


def test_a_directive_skips_rules_and_makes_the_others_errors() -> None:
    text = "# check=skip=JSONArgsRecommended;error=true\nFROM a\nCMD b\nMAINTAINER c"
    said = warnings(text)
    assert [w.rule for w in said] == ["MaintainerDeprecated"]
    with pytest.raises(ChecksFailed, match="rules: MaintainerDeprecated: Dockerfile:4: Maintainer"):
        refuse(parse(text.encode()), said)
    assert warnings("# check=skip=all\nFROM a\nCMD b") == ()
    refuse(parse(b"FROM a\nCMD b"), warnings("FROM a\nCMD b"))


def test_a_rule_has_an_address() -> None:
    (warning,) = warnings("FROM a\nCMD b")
    assert warning.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
