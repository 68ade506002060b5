"""The user's terminal: whether there is one, how large it is, and raw mode."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable
from types import FrameType

from lading.cli.faults import Fault

STDIN, STDOUT, STDERR = 0, 1, 2
Mode = list[int | list[bytes | int]]
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def size() -> tuple[int, int]:
    """Rows and columns of the terminal; zeros where there is none."""
    for descriptor in (STDOUT, STDIN):
        try:
            columns, rows = os.get_terminal_size(descriptor)
        except OSError:
            continue
        return rows, columns
    return 0, 0


def check(*, stdin: bool, tty: bool) -> None:
    """Fault where a terminal is asked for and the input is none."""
    if stdin and tty and not is_terminal(STDIN):
        raise Fault("the input device is not a TTY")


class Raw:
    """While entered, every key goes to the container; nothing where stdin is no terminal.

    Signals that end the command leave the terminal as it was.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and is_terminal(STDIN)
        self._before: Mode | None = None
        self._handled: list[signal.Signals] = []

    def __enter__(self) -> Raw:
        if not self._wanted:
            return self
        self._before = termios.tcgetattr(STDIN)
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)
                self._handled.append(number)
        termios.tcsetattr(STDIN, termios.TCSADRAIN, _raw(termios.tcgetattr(STDIN)))
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            termios.tcsetattr(STDIN, termios.TCSADRAIN, self._before)
            self._before = None
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)
        self._handled.clear()


def _end(number: int, _: FrameType | None) -> None:
    raise Fault("", 128 + number)


def _raw(mode: Mode) -> Mode:
    """As cfmakeraw(3) has it."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = mode
    assert isinstance(iflag, int) and isinstance(oflag, int)
    assert isinstance(cflag, int) and isinstance(lflag, int) and isinstance(characters, list)
    t = termios
    iflag &= ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON)
    oflag &= ~t.OPOST
    lflag &= ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN)
    cflag = cflag & ~(t.CSIZE | t.PARENB) | t.CS8
    characters[t.VMIN], characters[t.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, characters]


class Resizing:
    """While entered, *report* is called with rows and columns, now and at every change."""

    def __init__(self, report: Callable[[int, int], None], *, wanted: bool) -> None:
        self._report = report
        self._wanted = wanted and is_terminal(STDOUT)

    def __enter__(self) -> Resizing:
        if self._wanted:
            signal.signal(signal.SIGWINCH, lambda *_: self.now())
            self.now()
        return self

    def __exit__(self, *_: object) -> None:
        if self._wanted:
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)

    def now(self) -> None:
        """Report the present size."""
        rows, columns = size()
        if rows and columns:
            self._report(rows, columns)
