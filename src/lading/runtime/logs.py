"""Read conmon's log format, piece by piece, without any I/O.

A line is ``TIME STREAM F TEXT``, or ``P`` for a piece of a longer line that goes on in the next
entry of the same stream.  TEXT is any bytes but a newline, at most 8 KiB of them.
"""

from __future__ import annotations

import calendar
import time
from typing import NamedTuple

_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}
_SECOND = 1_000_000_000
_MOST_LINE = 64 * 1024  # more than conmon ever writes; beyond, the file is damaged
_UTC = (b"+00:00", b"Z")


class Entry(NamedTuple):  # a tuple, for there are millions of them
    """A line without its newline, or a piece of one: then *partial*."""

    time_ns: int  # since 1970, UTC
    stream: str  # stdout or stderr
    line: bytes
    partial: bool


class Parser:
    """Bytes in, entries out; damaged lines are counted and skipped, whatever they hold."""

    def __init__(self) -> None:
        self.damaged = 0
        self._rest = b""
        self._skipping = False  # inside a line that was too long to be one
        self._second = b""  # the time that was read last, to the second, and what it means
        self._second_ns = 0

    def feed(self, piece: bytes) -> list[Entry]:
        """The entries that *piece* completes."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if self._skipping and lines:
            lines.pop(0)
            self._skipping = False
        if len(self._rest) > _MOST_LINE:
            self.damaged += not self._skipping
            self._skipping, self._rest = True, b""
        return [entry for line in lines if (entry := self._entry(line))]

    def _entry(self, line: bytes) -> Entry | None:
        try:
            stamp, stream, tag, text = line.split(b" ", 3)
            if tag in (b"F", b"P"):
                return Entry(self._time(stamp), _STREAMS[stream], text, tag == b"P")
        except (ValueError, KeyError):
            pass
        self.damaged += 1
        return None

    def _time(self, stamp: bytes) -> int:
        """Nanoseconds since 1970; consecutive lines share their second, so it is kept."""
        if stamp[:19] != self._second:
            self._second_ns = _seconds(stamp[:19]) * _SECOND
            self._second = stamp[:19]
        fraction, zone = stamp[20:29], stamp[29:]
        if stamp[19:20] != b"." or len(fraction) != 9:
            raise ValueError(stamp)
        offset = 0 if zone in _UTC else _offset(zone)
        return self._second_ns + int(fraction) - offset * _SECOND


def _seconds(text: bytes) -> int:
    return calendar.timegm(time.strptime(text.decode("ascii"), "%Y-%m-%dT%H:%M:%S"))


def _offset(zone: bytes) -> int:
    """Seconds east of UTC, from ``+01:00``."""
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    sign = {b"+": 1, b"-": -1}[zone[:1]]
    return sign * (hours * 3600 + minutes * 60)
