"""Sizes, durations and times as Docker shows them, and sizes and durations as it reads them.

The rules are those of github.com/docker/go-units and of Go's time package.
"""

from __future__ import annotations

import re
import time

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKmMgGtTpP])?(?:[iI]?[bB])?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_LARGEST = 2**63 - 1
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def size(count: float, precision: int = 4) -> str:
    """*count* bytes in powers of 1000, with *precision* significant digits: ``1.24GB``."""
    return _scaled(count, 1000.0, _DECIMAL, precision)


def binary_size(count: float) -> str:
    """*count* bytes in powers of 1024: ``15.2MiB``."""
    return _scaled(count, 1024.0, _BINARY, 4)


def _scaled(count: float, base: float, units: tuple[str, ...], precision: int) -> str:
    unit = 0
    while count >= base and unit < len(units) - 1:
        count /= base
        unit += 1
    return f"{count:.{precision}g}{units[unit]}"


def read_size(text: str) -> int:
    """The bytes that ``512m`` or ``1.5g`` means, in powers of 1024; ValueError otherwise."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    number = float(match.group(1)) * 1024 ** _POWERS[(match.group(2) or "").lower()]
    if number > _LARGEST:
        raise ValueError(f"invalid size: '{text}' is too large")
    return int(number)


def duration(seconds: float) -> str:
    """How long in words: ``About a minute``, ``3 weeks``."""
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    minutes = int(seconds / _MINUTE)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / _HOUR + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{int(seconds / _DAY) // 365} years"


def since(seconds: float) -> str:
    """How long ago the time *seconds* (since 1970) was, in words."""
    return f"{duration(time.time() - seconds)} ago"


def local_time(seconds: float) -> str:
    """A time as Go's ``Time.String`` shows it: ``2026-01-31 10:00:00 +0100 CET``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def read_duration(text: str) -> int:
    """The nanoseconds that ``1m30s`` means; ValueError for anything else."""
    rest, sign = (text[1:], -1) if text.startswith("-") else (text.removeprefix("+"), 1)
    if rest == "0":
        return 0
    total, at = 0.0, 0
    while match := _DURATION.match(rest, at):
        total += float(match.group(1)) * _NANOSECONDS[match.group(2)]
        at = match.end()
    if not at or at != len(rest) or total > _LARGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * round(total)


def short_id(identity: str) -> str:
    """The first twelve digits, without the algorithm."""
    return identity.rpartition(":")[2][:12]


def ellipsis(text: str, most: int) -> str:
    """*text* in *most* columns, cut with an ellipsis; wide characters take two."""
    if text.isascii():
        return text if len(text) <= most else text[: most - 1] + "…"
    from unicodedata import east_asian_width

    widths = [2 if east_asian_width(character) in "WF" else 1 for character in text]
    if sum(widths) <= most:
        return text
    kept, columns = 0, 0
    while columns + widths[kept] <= most - 1:
        columns += widths[kept]
        kept += 1
    return text[:kept] + "…"
