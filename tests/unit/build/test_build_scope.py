"""Who sees which variable: ENV over ARG, build arguments over defaults, stages apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.build.dockerfile import parse
from lading.build.errors import InvalidDockerfile
from lading.build.expand import expand, expanded
from lading.build.instruction import Add, Copy, Env, Instruction, Run
from lading.build.scope import Scope
from lading.errors import Invalid
from lading.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")


def scope_of(text: str, **given: str) -> Scope:
    """The scope of the file's FROM lines."""
    made = parse(text.encode())
    return Scope.of_file(made.args, given, target=ARM, host=AMD64, escape=made.directives.escape)


def run_stage(text: str, env: dict[str, str] | None = None, **given: str) -> Scope:
    """The scope at the end of the last stage, whose base has the environment *env*."""
    made = parse(text.encode())
    scope = scope_of(text, **given).in_stage(env or {})
    for instruction in made.stages[-1].instructions:
        scope = scope.after(expand(instruction, scope))
    return scope


def meant(text: str, env: dict[str, str] | None = None, *, first: str = "FROM a") -> Instruction:
    """The instruction *text*, expanded in a stage with *env*."""
    made = parse(f"{first}\n{text}".encode())
    scope = Scope(escape=made.directives.escape).in_stage(env or {})
    return expand(made.stages[0].instructions[-1], scope)


@pytest.mark.parametrize(
    ("text", "given", "seen"),
    [
        ("FROM a\nARG x=1", {}, {"x": "1"}),
        ("FROM a\nARG x=1", {"x": "2"}, {"x": "2"}),
        ("FROM a\nARG x=1", {"x": ""}, {"x": ""}),
        ("FROM a\nARG x", {}, {}),
        ("FROM a\nARG x", {"x": "2"}, {"x": "2"}),
        ("FROM a\nRUN b", {"x": "2"}, {}),
        ("ARG x=1\nFROM a", {}, {}),
        ("ARG x=1\nFROM a\nARG x", {}, {"x": "1"}),
        ("ARG x=1\nFROM a\nARG x=2", {}, {"x": "2"}),
        ("ARG x=1\nFROM a\nARG x", {"x": "3"}, {"x": "3"}),
        ("ARG x=1\nARG y=$x-2\nFROM a\nARG y", {}, {"y": "1-2"}),
        ("ARG x=1\nARG y=$x-2\nFROM a\nARG y", {"x": "9"}, {"y": "9-2"}),
        ("FROM a\nARG x=1 y=$x z", {}, {"x": "1", "y": "1"}),
        ("FROM a\nARG x='a b' y=\"$x c\"", {}, {"x": "a b", "y": "a b c"}),
        ("FROM a\nARG x=1\nENV x=2", {}, {"x": "2"}),
        ("FROM a\nARG x=1\nENV x=2", {"x": "3"}, {"x": "2"}),
        ("FROM a\nENV x=2\nARG x=1", {}, {"x": "2"}),
        ("FROM a\nARG x=1\nENV y=$x", {}, {"x": "1", "y": "1"}),
        ("FROM a\nARG x=1\nENV x=${x:-v}", {"x": "3"}, {"x": "3"}),
        ("FROM a\nENV a=1\nENV a=2 b=$a", {}, {"a": "2", "b": "1"}),
        ("FROM a AS b\nARG x=1\nFROM a\nRUN c", {}, {}),
        ("FROM a\nARG x=1\nARG x", {}, {"x": "1"}),
        ("FROM a\nARG x=1\nARG x=2", {}, {"x": "2"}),
        ("# escape=`\nFROM a\nARG x=`$y z=a\\b", {}, {"x": "$y", "z": "a\\b"}),
    ],
)
def test_a_stage_sees_what_it_declares(
    text: str, given: dict[str, str], seen: dict[str, str]
) -> None:
    assert run_stage(text, **given).variables == seen


def test_the_base_s_environment_wins_over_arguments() -> None:
    scope = run_stage("FROM a\nARG v=1 w=1", {"v": "base"}, v="given", w="given")
    assert scope.variables == {"v": "base", "w": "given"}
    assert scope.used_args == ("w=given",)


def test_arguments_of_a_stage_are_handed_down_to_those_built_on_it() -> None:
    parent = run_stage("ARG g=1\nFROM a\nARG x=1\nENV y=2")
    child = parent.in_stage({"y": "2"})
    assert child.variables == {"x": "1", "y": "2"}
    (arg,) = parse(b"FROM a\nARG g").stages[0].instructions
    assert child.after(arg).variables["g"] == "1"


def test_platforms_are_known_in_from_and_in_a_stage_that_names_them() -> None:
    scope = scope_of("FROM a")
    assert scope.variables == {
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETSTAGE": "default",
    }
    assert run_stage("FROM a").variables == {}
    assert run_stage("FROM a\nARG TARGETARCH").variables == {"TARGETARCH": "arm"}
    assert run_stage("FROM a\nARG TARGETARCH", TARGETARCH="x").variables == {"TARGETARCH": "x"}


def test_proxies_reach_a_run_and_neither_its_cache_key_nor_the_history() -> None:
    scope = run_stage("FROM a\nARG x=1", HTTP_PROXY="http://u:p@h", no_proxy="x", y="2")
    assert scope.environment == {"HTTP_PROXY": "http://u:p@h", "no_proxy": "x", "x": "1"}
    assert scope.used_args == ("x=1",)
    assert "HTTP_PROXY" not in scope.variables
    declared = run_stage("FROM a\nARG HTTP_PROXY", HTTP_PROXY="h")
    assert declared.used_args == ("HTTP_PROXY=h",)


def test_values_that_double_are_stopped_with_their_line() -> None:
    lines = ["FROM a", "ARG a0=xxxxxxxxxx", *(f"ARG a{n}=$a{n - 1}$a{n - 1}" for n in range(1, 40))]
    with pytest.raises(InvalidDockerfile, match=r"Dockerfile:\d+: the value of a variable"):
        run_stage("\n".join(lines))
    wide = "\n".join(["FROM a", "ENV b=" + "x" * 60_000, *(f"ENV c{n}=$b" for n in range(500))])
    with pytest.raises(InvalidDockerfile, match="the variables together"):
        run_stage(wide)
    many = "FROM a\nENV " + " ".join(f"a{n}=1" for n in range(5000))
    with pytest.raises(InvalidDockerfile, match="more than 4096 variables"):
        run_stage(many)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ENV a$v=$v b='$v' c=\"$v x\"", {"pairs": (("av1", "v1"), ("b", "$v"), ("c", "v1 x"))}),
        ("ENV a $v  x", {"pairs": (("a", "v1  x"),)}),
        ('LABEL "a b"="c\\"d" $v=1', {"pairs": (("a b", 'c"d'), ("v1", "1"))}),
        ("WORKDIR /$v/${w:-x}", {"path": "/v1/x"}),
        ("USER ${v}:$v", {"user": "v1:v1"}),
        ("VOLUME /$v ${w:-/x}", {"paths": ("/v1", "/x")}),
        ('VOLUME ["/$v"]', {"paths": ("/v1",)}),
        ("EXPOSE 80 443/UDP 1-3 $ports", {"ports": (
            "80/tcp", "443/udp", "1/tcp", "2/tcp", "3/tcp", "8080/tcp", "9090/sctp",
        )}),
        ("EXPOSE 127.0.0.1:80:8080/tcp 80 80", {"ports": ("8080/tcp", "80/tcp")}),
        ("STOPSIGNAL $sig", {"signal": "SIGUSR1"}),
        ("CMD echo $v", {}),
        ('ENTRYPOINT ["$v"]', {}),
        ("HEALTHCHECK CMD $v", {"test": ("CMD-SHELL", "$v")}),
        ('SHELL ["$v"]', {"words": ("$v",)}),
        ("ONBUILD RUN $v", {"trigger": "RUN $v"}),
        ("MAINTAINER $v", {"author": "$v"}),
    ],
)  # fmt: skip
def test_each_instruction_expands_what_docker_expands(text: str, values: dict[str, Any]) -> None:
    made = meant(text, {"v": "v1", "ports": "8080 9090/sctp", "sig": "SIGUSR1"})
    assert {name: getattr(made, name) for name in values} == values
    assert made.text == text


def test_copy_expands_its_words_owner_mode_patterns_and_files() -> None:
    made = meant(
        "COPY --chown=$v --chmod=$m --exclude=*.$v $v <<f <<'g' /$v/\n'$v' \\$v \\\\\nf\n$v\ng",
        {"v": "v1", "m": "0644"},
    )
    assert isinstance(made, Copy)
    assert (made.chown, made.chmod, made.exclude) == ("v1", "0644", ("*.v1",))
    assert made.destination == "/v1/"
    assert [file.content for file in made.files] == ["'v1' $v \\\n", "$v\n"]


def test_quoted_blanks_in_copy_are_what_docker_makes_of_them() -> None:
    with pytest.raises(InvalidDockerfile, match="Dockerfile:2: failed to process"):
        meant('COPY "a b" /x')
    made = meant('COPY ["a b", "/$v"]', {"v": "y"})
    assert isinstance(made, Copy)
    assert (made.sources, made.destination) == (("a b",), "/y")


def test_add_and_run_expand_checksum_and_mounts() -> None:
    added = meant("ADD --checksum=sha256:$v https://x/$v /", {"v": "1"})
    assert isinstance(added, Add)
    assert (added.checksum, added.sources) == ("sha256:1", ("https://x/1",))
    made = meant("RUN --mount=type=cache,target=/c/$v,uid=$u,mode=$m echo $v", {
        "v": "x", "u": "7", "m": "700",
    })  # fmt: skip
    assert isinstance(made, Run)
    assert made.command.words == ("echo $v",)
    (mount,) = made.mounts
    assert (mount.target, mount.uid, mount.mode) == ("/c/x", 7, 0o700)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ENV a=${b", "failed to process"),
        ("ENV $gone=1", "ENV names can not be blank"),
        ("WORKDIR $gone", "WORKDIR requires exactly one argument"),
        ("VOLUME $gone", "VOLUME specified can not be an empty string"),
        ("EXPOSE 0", "Invalid containerPort: 0: expected 80, 80/udp or 80-90"),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("EXPOSE 90-80", "Invalid containerPort: 90-80"),
        ("EXPOSE 80/icmp", "Invalid containerPort: 80/icmp"),
        ("STOPSIGNAL NOPE", "Invalid signal: NOPE"),
        ("USER ${gone:?who}", "gone: who"),
        ("RUN --mount=type=cache,target=/c,uid=$gone x", "invalid value  for uid"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_line(text: str, why: str) -> None:
    with pytest.raises(InvalidDockerfile) as caught:
        meant(text)
    assert str(caught.value).startswith("Dockerfile:2: ")
    assert why in str(caught.value)


def test_variables_that_are_missing_are_named() -> None:
    made = parse(b"FROM a\nENV a=$b c=${d:-x} e=$v")
    _, missing = expanded(made.stages[0].instructions[0], Scope(env={"v": "1"}))
    assert missing == ("b",)


def test_an_expanded_instruction_is_of_the_same_kind_and_place() -> None:
    made = meant("ENV a=$v", {"v": "x"})
    assert isinstance(made, Env)
    assert made.where.first == 2


TEXTS = st.text(st.sampled_from(list("ab=$${}:-'\"\\ ,/%#")), max_size=20)
KEYWORDS = st.sampled_from(
    ["ENV", "ARG", "LABEL", "WORKDIR", "USER", "EXPOSE", "VOLUME", "COPY", "ADD", "STOPSIGNAL",
     "RUN --mount=target=/a,source="]
)  # fmt: skip


@given(st.lists(st.tuples(KEYWORDS, TEXTS), max_size=4), st.dictionaries(st.just("a"), TEXTS))
def test_any_stage_runs_to_its_end_or_is_refused(
    lines: list[tuple[str, str]], given: dict[str, str]
) -> None:
    text = "\n".join(["FROM a", *(f"{keyword} {words}" for keyword, words in lines)])
    try:
        run_stage(text, **given)
    except Invalid as error:
        assert str(error).startswith("Dockerfile:")
