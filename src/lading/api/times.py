"""Times and durations as Docker writes and reads them (pure).

Inside lading a time is an integer of nanoseconds since 1970, UTC.
"""

from __future__ import annotations

import datetime
import re

from lading.errors import Invalid

ZERO = "0001-01-01T00:00:00Z"  # Go's zero time: it never happened
SECOND = 1_000_000_000
_UNIX = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}(?::[0-9]{2}){0,2})(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class InvalidTime(Invalid):
    """Raised for text that is neither a time nor a duration."""

    def __init__(self, text: str) -> None:
        super().__init__(f'failed to parse value as time or duration: "{text[:80]}"')


def rfc3339(time_ns: int | None, *, fixed: bool = False) -> str:
    """RFC 3339 with nanoseconds; trailing zeros are dropped unless *fixed*; None: never."""
    if not time_ns:
        return ZERO
    seconds, fraction = divmod(time_ns, SECOND)
    text = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}"
    if not fixed:
        digits = digits.rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time, or of its beginning; InvalidTime.

    A time without a zone is UTC.
    """
    found = _RFC3339.fullmatch(text)
    if not found:
        raise InvalidTime(text)
    clock = (found[2] or "00") + ":00:00"
    zone = "+00:00" if found[4] in (None, "Z") else found[4]
    try:
        moment = datetime.datetime.fromisoformat(f"{found[1]}T{clock[:8]}{zone}")
    except ValueError:
        raise InvalidTime(text) from None
    fraction = int((found[3] or "").ljust(9, "0"))
    return int(moment.timestamp()) * SECOND + fraction


def parse_unix(text: str) -> int:
    """Nanoseconds since 1970 of ``seconds[.nanoseconds]``; InvalidTime."""
    found = _UNIX.fullmatch(text)
    if not found:
        raise InvalidTime(text)
    fraction = int((found[2] or "").ljust(9, "0"))
    seconds = int(found[1])
    return seconds * SECOND + (-fraction if text.startswith("-") else fraction)


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as ``1h30m``; InvalidTime."""
    found = list(_DURATION.finditer(text))
    if not found or "".join(part[0] for part in found) != text or len(text) > 40:
        raise InvalidTime(text)
    return sum(round(float(part[1]) * _UNITS[part[2]]) for part in found)


def parse_moment(text: str, now_ns: int) -> int:
    """A point in time given as unix time, RFC 3339, or a duration before *now_ns*; InvalidTime."""
    if _UNIX.fullmatch(text):
        return parse_unix(text)
    if _RFC3339.fullmatch(text):
        return parse_rfc3339(text)
    return now_ns - parse_duration(text)


def human(nanoseconds: int) -> str:
    """A duration in the words of ``docker ps``: ``5 minutes``, ``About an hour``."""
    seconds = max(nanoseconds, 0) / SECOND
    if seconds < 60:
        return _seconds(int(seconds))
    if seconds < 3600:
        minutes = int(seconds // 60)
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    return _hours(int(seconds / 3600 + 0.5))


def _seconds(seconds: int) -> str:
    if seconds < 1:
        return "Less than a second"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def _hours(hours: int) -> str:
    if hours <= 1:
        return "About an hour"
    for most, unit, name in (
        (48, 1, "hours"),
        (24 * 7 * 2, 24, "days"),
        (24 * 30 * 2, 24 * 7, "weeks"),
        (24 * 365 * 2, 24 * 30, "months"),
    ):
        if hours < most:
            return f"{hours // unit} {name}"
    return f"{hours // 24 // 365} years"
