"""A pool has things ready, makes more when some are taken, and keeps none when closed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lading.network.pool import Pool


class Made:
    """Numbers, and which of them are still there."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.there: set[int] = set()

    def make(self) -> int:
        number = next(self._numbers)
        self.there.add(number)
        return number


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def pool(made: Made) -> Iterator[Pool[int]]:
    pool = Pool(made.make, made.there.remove, 3)
    yield pool
    pool.close()


def _await(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert true()


def test_an_empty_pool_makes_nobody_wait(pool: Pool[int]) -> None:
    assert pool.take() is None


def test_it_is_filled_and_filled_again(pool: Pool[int], made: Made) -> None:
    pool.fill()
    _await(lambda: len(made.there) == 3)
    assert pool.take() == 0
    _await(lambda: len(made.there) == 4)


def test_everything_is_taken_once(pool: Pool[int], made: Made) -> None:
    pool.fill()
    _await(lambda: len(made.there) == 3)
    assert [pool.take(), pool.take(), pool.take(), pool.take()] == [0, 1, 2, None]


def test_closed_it_keeps_none_and_makes_none(pool: Pool[int], made: Made) -> None:
    pool.fill()
    _await(lambda: len(made.there) == 3)
    pool.close()
    pool.close()
    assert made.there == set()
    pool.fill()
    assert pool.take() is None
    assert made.there == set()


def test_closing_waits_for_what_is_being_made(made: Made) -> None:
    going, go = threading.Event(), threading.Event()

    def slowly() -> int:
        going.set()
        go.wait()
        return made.make()

    pool = Pool(slowly, made.there.remove, 3)
    pool.fill()
    going.wait()
    threading.Timer(0.02, go.set).start()
    pool.close()
    assert made.there == set()


def test_a_failure_is_told_and_tried_again_at_the_next_take(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([OSError("no room")])

    def fail_once() -> int:
        for error in outcomes:
            raise error
        return made.make()

    pool = Pool(fail_once, made.there.remove, 1)
    pool.fill()
    _await(lambda: "no room" in caplog.text)
    assert pool.take() is None
    _await(lambda: len(made.there) == 1)
    pool.close()
