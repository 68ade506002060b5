"""Times and durations read and written as Docker does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.api import times
from lading.api.times import SECOND


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1795508996_001804697, "2026-11-24T08:29:56.001804697Z"),
        (1795508996_500000000, "2026-11-24T08:29:56.5Z"),
        (1795508996_000000000, "2026-11-24T08:29:56Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_without_trailing_zeros(nanoseconds: int | None, text: str) -> None:
    assert times.rfc3339(nanoseconds) == text


def test_a_log_time_always_has_nine_digits() -> None:
    assert times.rfc3339(SECOND, fixed=True) == "1970-01-01T00:00:01.000000000Z"


@given(st.integers(1, 4 * 10**18))
def test_a_written_time_is_read_back(nanoseconds: int) -> None:
    assert times.parse_rfc3339(times.rfc3339(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795509093.1", 1795509093_100000000),
        ("1795509093.000000001", 1795509093_000000001),
        ("0", 0),
        ("-1.5", -1_500000000),
        ("2026-11-24T08:29:56Z", 1795508996 * SECOND),
        ("2026-11-24T09:29:56+01:00", 1795508996 * SECOND),
        ("2026-11-24T08:29", 1795508940 * SECOND),
        ("2026-11-24", 1795478400 * SECOND),
        ("90s", 1000 * SECOND - 90 * SECOND),
        ("1h1m1.5s", 1000 * SECOND - 3661_500000000),
    ],
)
def test_a_moment_is_unix_time_or_a_date_or_a_duration_ago(text: str, expected: int) -> None:
    assert times.parse_moment(text, now_ns=1000 * SECOND) == expected


@pytest.mark.parametrize("text", ["abc", "1x", "", "2026-13-01", "1h1", "--1", "1" * 60])
def test_other_text_is_no_moment(text: str) -> None:
    with pytest.raises(times.InvalidTime):
        times.parse_moment(text, now_ns=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 24 * 3600, "2 weeks"),
        (60 * 24 * 3600, "2 months"),
        (2 * 365 * 24 * 3600, "2 years"),
    ],
)
def test_durations_are_told_in_dockers_words(seconds: float, text: str) -> None:
    assert times.human(round(seconds * SECOND)) == text
