"""Health as a value: what a check's result changes, and when."""

from __future__ import annotations

import pytest

from lading.container import health
from lading.container.health import Check, Health, Result
from lading.container.options import Config, Healthcheck

SECOND = 1_000_000_000
CHECK = Check(
    argv=("true",),
    interval=30 * SECOND,
    timeout=SECOND,
    start_period=10 * SECOND,
    start_interval=2 * SECOND,
    retries=3,
)


def result(code: int, at: int = 100) -> Result:
    return Result(at * SECOND, at * SECOND + 1, code)


def after(codes: list[int], check: Check = CHECK, at: int = 100) -> Health:
    now = Health()
    for code in codes:
        now = health.after(now, result(code, at), check, 0)
    return now


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ([], "starting", 0),
        ([0], "healthy", 0),
        ([1, 1], "starting", 2),
        ([1, 1, 1], "unhealthy", 3),
        ([0, 1, 1], "healthy", 2),
        ([0, -1, 2, 1], "unhealthy", 3),
        ([1, 1, 1, 0], "healthy", 0),
    ],
)
def test_so_many_failures_one_after_another_are_too_many(
    codes: list[int], status: str, streak: int
) -> None:
    now = after(codes)
    assert (now.status, now.failing_streak) == (status, streak)


def test_failures_while_it_starts_do_not_count() -> None:
    assert after([1, 1, 1, 1], at=5).failing_streak == 0
    assert after([0, 1, 1, 1], at=5).status == "unhealthy"  # it had come up


def test_the_last_five_results_are_kept() -> None:
    assert [each.exit_code for each in after([1, 2, 3, 4, 5, 6]).log] == [2, 3, 4, 5, 6]


def test_it_is_looked_at_more_often_while_it_starts() -> None:
    starting, well = Health(), Health("healthy")
    assert CHECK.pause(starting, 5 * SECOND) == 2 * SECOND
    assert CHECK.pause(starting, 10 * SECOND) == 30 * SECOND
    assert CHECK.pause(well, 5 * SECOND) == 30 * SECOND


@pytest.mark.parametrize(
    ("test", "shell", "argv"),
    [
        (["CMD", "a", "b c"], None, ("a", "b c")),
        (["CMD-SHELL", "a | b"], None, ("/bin/sh", "-c", "a | b")),
        (["CMD-SHELL", "a"], ["ash", "-ec"], ("ash", "-ec", "a")),
    ],
)
def test_what_is_run(test: list[str], shell: list[str] | None, argv: tuple[str, ...]) -> None:
    found = health.check_of(Config(healthcheck=Healthcheck(test=test), shell=shell))
    assert found
    assert (found.argv, found.interval, found.retries) == (argv, 30 * SECOND, 3)


@pytest.mark.parametrize("test", [None, [], ["NONE"], ["OTHER", "x"]])
def test_nothing_is_run_where_nothing_is_asked_for(test: list[str] | None) -> None:
    config = Config(healthcheck=Healthcheck(test=test))
    assert health.check_of(config) is None
    assert health.at_start(config) is None


def test_what_is_left_open_is_as_the_image_says() -> None:
    image = Healthcheck(test=["CMD", "x"], interval=5, retries=7)
    assert health.merged(Healthcheck(interval=9), image) == Healthcheck(
        test=["CMD", "x"], interval=9, retries=7
    )
    assert health.merged(None, image) == image
    assert health.merged(Healthcheck(test=["NONE"]), image).test == ["NONE"]  # type: ignore[union-attr]  # not None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Healthcheck(interval=1), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_period=999_999), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_times_that_cannot_be_are_refused(asked: Healthcheck, words: str) -> None:
    with pytest.raises(health.BadHealthcheck, match=words):
        health.verify(asked)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(500_000_000, "500ms"), (SECOND, "1s"), (90 * SECOND, "1m30s"), (3600 * SECOND, "1h0m0s")],
)
def test_a_time_is_written_as_go_does(nanoseconds: int, text: str) -> None:
    assert health.duration(nanoseconds) == text
