"""Moments as image documents and filters write them; inside, nanoseconds since 1970."""

from __future__ import annotations

import datetime
import re
import time

from lading.errors import Invalid

_SECOND = 1_000_000_000
_LONGEST_DURATION = 100  # characters: a search for units goes over digits again and again
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?)?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_UNIX = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def rfc3339(time_ns: int) -> str:
    """The moment in UTC, as Go writes it: no trailing zeros in its fraction."""
    seconds, fraction = divmod(time_ns, _SECOND)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + digits + "Z"


def parse(text: str) -> int | None:
    """The moment that *text*, an RFC 3339 time, means; None when it is none."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    clock = (found[2] or "00:00") + ("" if (found[2] or "").count(":") > 1 else ":00")
    zone = "+00:00" if (found[4] or "Z") in "Zz" else found[4]
    try:
        moment = datetime.datetime.fromisoformat(f"{found[1]}T{clock}{zone}")
    except ValueError:
        return None
    return int(moment.timestamp()) * _SECOND + int((found[3] or "").ljust(9, "0"))


def duration(text: str) -> float | None:
    """Seconds of a duration in Go's form (``1h30m``, ``0``); None when it is none."""
    if text == "0":
        return 0.0
    if len(text) > _LONGEST_DURATION:
        return None
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def until(text: str) -> int:
    """What ``until=`` means: a moment, seconds since 1970, or a duration before now; Invalid."""
    unix = _UNIX.fullmatch(text)
    if unix:
        return int(unix[1]) * _SECOND + int((unix[2] or "").ljust(9, "0"))
    ago = duration(text)
    if ago is not None:
        return time.time_ns() - int(ago * _SECOND)
    moment = parse(text)
    if moment is None:
        raise Invalid(f'failed to parse value as time or duration: "{text[:80]}"')
    return moment
