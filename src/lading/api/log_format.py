"""How log entries go to a client: which of them, framed or raw, with or without times (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lading.api.stdcopy import NAMES, frame
from lading.api.times import rfc3339
from lading.runtime.logs import Entry


@dataclass(frozen=True, slots=True)
class LogWishes:
    """What of a log a client wants, and how; times are nanoseconds since 1970."""

    stdout: bool
    stderr: bool
    since: int | None = None
    until: int | None = None
    timestamps: bool = False
    raw: bool = False  # a terminal's output is sent without frames


class LogFormat:
    """Turns entries into bytes; `past_the_end` once an entry was younger than wanted."""

    def __init__(self, wishes: LogWishes) -> None:
        self._wishes = wishes
        self._within: set[str] = set()  # streams whose last entry was the beginning of a line
        self.past_the_end = False

    def encode(self, entries: Iterable[Entry]) -> bytes:
        """The bytes for those of *entries* that are wanted."""
        return b"".join(self._one(entry) for entry in entries if self._wanted(entry))

    def _wanted(self, entry: Entry) -> bool:
        wishes = self._wishes
        if wishes.until is not None and entry.time_ns > wishes.until:
            self.past_the_end = True
        if self.past_the_end or not getattr(wishes, entry.stream, False):
            return False
        return wishes.since is None or entry.time_ns >= wishes.since

    def _one(self, entry: Entry) -> bytes:
        line = entry.line if entry.partial else entry.line + b"\n"
        if self._wishes.timestamps and entry.stream not in self._within:
            line = rfc3339(entry.time_ns, fixed=True).encode() + b" " + line
        (self._within.add if entry.partial else self._within.discard)(entry.stream)
        return line if self._wishes.raw else frame(NAMES[entry.stream], line)
