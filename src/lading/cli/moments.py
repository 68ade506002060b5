"""``--since`` and ``--until``: points in time as the API takes them, seconds since 1970."""

from __future__ import annotations

import re
import time

from lading.cli.faults import Fault
from lading.cli.units import read_duration

_UNIX = re.compile(r"-?\d+(?:\.\d{1,9})?", re.ASCII)
_CALENDAR = re.compile(
    r"(\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d){0,2})?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_SECOND = 10**9


def moment(text: str, flag: str) -> str:
    """``42m`` ago, a time since 1970 or a date; a date without a zone is in the local one.

    Empty stays empty.  Fault names the *flag* for anything else.
    """
    if not text or _UNIX.fullmatch(text):
        return text
    try:
        ago = read_duration(text)
    except ValueError:
        return _dated(text, flag)
    return _shown(time.time_ns() - ago)


def _dated(text: str, flag: str) -> str:
    from datetime import datetime

    match = _CALENDAR.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        date, fraction, zone = match.groups()
        # Without a zone it is taken for local time.
        found = datetime.fromisoformat(
            date + (zone or "") if "T" in date else _midnight(date, zone)
        )
        seconds = int(found.timestamp())
    except (ValueError, OverflowError, OSError):
        wrong = f'failed to parse value as time or duration: "{text}"'
        raise Fault(f'invalid value for "{flag}": {wrong}') from None
    return _shown(seconds * _SECOND + int((fraction or "").ljust(9, "0")))


def _midnight(date: str, zone: str | None) -> str:
    return f"{date}T00:00{zone or ''}"


def _shown(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{seconds}.{rest:09d}"
