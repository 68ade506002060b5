"""A plan holds the stages that a target needs, in an order in which they can be built."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.build.dockerfile import parse
from lading.build.errors import InvalidDockerfile
from lading.build.plan import NoSuchTarget, Plan, Source, plan, sources_of, unused_build_args
from lading.build.scope import Scope
from lading.errors import Invalid
from lading.oci.platform import Platform

HERE = Platform("linux", "amd64")
DIAMOND = """
FROM base AS left
FROM left AS one
RUN a
FROM left AS two
RUN --mount=from=one,target=/one b
FROM scratch AS unused
FROM two
COPY --from=one /a /a
COPY --from=0 /b /b
COPY --from=busybox:1 /c /c
"""


def planned(text: str, target: str = "", **given: str) -> Plan:
    made = parse(text.encode())
    return plan(made, Scope.of_file(made.args, given, target=HERE, host=HERE), target)


def refusal(text: str, target: str = "", **given: str) -> str:
    with pytest.raises(Invalid) as caught:
        planned(text, target, **given)
    return str(caught.value)


def test_only_what_the_target_needs_is_there_dependencies_first() -> None:
    made = planned(DIAMOND)
    assert made.order == (0, 1, 2, 4)
    assert [made.needs(index) for index in range(5)] == [
        frozenset(), {0}, {0, 1}, frozenset(), {0, 1, 2},
    ]  # fmt: skip
    assert made.images == (("base", ""), ("busybox:1", ""))


@pytest.mark.parametrize(
    ("target", "order"),
    [("one", (0, 1)), ("ONE", (0, 1)), ("0", (0,)), ("unused", (3,)), ("4", (0, 1, 2, 4))],
)
def test_a_target_is_a_name_or_a_number(target: str, order: tuple[int, ...]) -> None:
    assert planned(DIAMOND, target).order == order


def test_a_base_is_a_stage_before_it_an_image_or_nothing() -> None:
    made = planned("FROM a AS b\nFROM B\nFROM c\nFROM scratch\nFROM a AS c")
    bases = [stage.base for stage in made.stages]
    assert bases == [Source(image="a"), Source(0), Source(image="c"), Source(), Source(image="a")]
    assert bases[3].is_scratch
    assert not bases[1].is_scratch


def test_of_two_stages_with_one_name_the_later_is_meant() -> None:
    made = planned("FROM a AS x\nFROM b AS x\nFROM x\nCOPY --from=x /a /a")
    assert made.stages[2].base == Source(1)
    assert made.needs(2) == {1}


def test_from_takes_global_arguments_alone() -> None:
    text = "ARG V=1\nARG P=linux/arm64\nFROM --platform=$P a:${V} AS x\nFROM --platform=arm/v7 b"
    made = planned(text, V="2")
    assert made.stages[0].base.image == "a:2"
    assert made.stages[0].platform == "linux/arm64"
    assert "base name ($X) should not be blank" in refusal("FROM a\nARG X=b\nFROM $X")


def test_copy_may_take_from_a_stage_that_comes_later() -> None:
    assert planned("FROM a\nCOPY --from=late /x /x\nFROM b AS late", "0").order == (1, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "FROM a AS x\nCOPY --from=x /a /a",
            "Dockerfile:1: circular dependency detected on stage: x",
        ),
        (
            "FROM a AS x\nCOPY --from=y /a /a\nFROM x AS y",
            "Dockerfile:1: circular dependency detected on stage: x",
        ),
        ("FROM a\nCOPY --from=0 /a /a", "Dockerfile:1: circular dependency detected on stage: 0"),
        ("FROM a\nCOPY --from=7 /a /a", "Dockerfile:2: invalid stage index 7: expected 0 to 0"),
        ("FROM a AS build\nFROM b\nCOPY --from=Buildx! /a /a", "Dockerfile:3: invalid reference"),
        ("FROM a AS build\nFROM b\nCOPY --from=Buildx! /a /a", "(did you mean build?)"),
        ("FROM A:::b", "Dockerfile:1: invalid reference format"),
        ("FROM $X", "Dockerfile:1: base name ($X) should not be blank"),
        ("FROM ${X:?set}", "Dockerfile:1: failed to process"),
        ("FROM --platform=a/b/c/d x", "Dockerfile:1: failed to parse platform"),
        ("FROM a\nRUN --mount=from=9,target=/a x", "Dockerfile:2: invalid stage index 9"),
    ],
)
def test_a_plan_that_cannot_be_says_where_and_why(text: str, why: str) -> None:
    assert why in refusal(text)


def test_a_target_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(NoSuchTarget) as caught:
        planned("FROM a AS release", "releasee")
    assert str(caught.value) == (
        "target stage 'releasee' could not be found in Dockerfile (did you mean release?)"
    )
    with pytest.raises(NoSuchTarget):
        planned("FROM a", "1")


def test_build_arguments_that_nobody_asks_for_are_named() -> None:
    given = {"a": "1", "b": "1", "c": "1", "HTTP_PROXY": "1", "TARGETARCH": "x"}
    made = planned("ARG a\nFROM x\nARG b\nFROM y AS other\nARG c", "0", **given)
    assert unused_build_args(made, given) == ("c",)


def test_an_instruction_names_what_it_takes_from() -> None:
    made = parse(
        b"FROM a\nRUN --mount=from=b,target=/b --mount=from=c,target=/c x\nCOPY --from=d . ."
    )
    assert [sources_of(each) for each in made.stages[0].instructions] == [("b", "c"), ("d",)]


def test_a_thousand_stages_on_each_other_are_planned_in_time() -> None:
    lines = ["FROM a AS s0"]
    for number in range(1, 3000):
        lines += [f"FROM s{number - 1} AS s{number}", f"COPY --from=s{number // 2} a a"]
    start = time.perf_counter()
    assert len(planned("\n".join(lines)).order) == 3000
    assert time.perf_counter() - start < 5


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6))
def test_every_order_has_dependencies_first_or_there_is_a_cycle(
    stages: list[tuple[int, int]],
) -> None:
    lines = [
        f"FROM {f's{base}' if base < index else 'image'} AS s{index}\nCOPY --from=s{other} a a"
        for index, (base, other) in enumerate(stages)
    ]
    try:
        made = planned("\n".join(lines))
    except InvalidDockerfile as error:
        assert "circular" in str(error)
        return
    done: set[int] = set()
    for index in made.order:
        assert made.needs(index) <= done
        done.add(index)
    assert made.order[-1] == made.target
