"""Signals as people write them: ``TERM``, ``SIGTERM``, ``15``, ``RTMIN+3`` (pure)."""

from __future__ import annotations

import re
import signal

from lading.errors import Invalid

_REALTIME = re.compile(r"(RTMIN|RTMAX)(?:([+-])([0-9]{1,2}))?")
_HIGHEST = 64


class InvalidSignal(Invalid):
    """Raised for text that is no signal, in Docker's words."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid signal: {text[:80]}")


def parse(text: str) -> int:
    """The number of the signal that *text* names; InvalidSignal."""
    bare = text.strip().upper()
    if bare.isascii() and bare.isdigit():
        number = int(bare) if len(bare) < 4 else 0
    else:
        number = _named(bare.removeprefix("SIG"))
    if not 0 < number <= _HIGHEST:
        raise InvalidSignal(text)
    return number


def _named(name: str) -> int:
    """The signal's number; 0 when there is none of that name."""
    if realtime := _REALTIME.fullmatch(name):
        offset = int(realtime[3] or 0) * (-1 if realtime[2] == "-" else 1)
        number = int(getattr(signal, f"SIG{realtime[1]}")) + offset
        return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else 0
    return int(signal.Signals.__members__.get(f"SIG{name}", 0))
