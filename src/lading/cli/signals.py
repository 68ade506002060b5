"""Pass the signals that reach this command on to the container."""

from __future__ import annotations

import signal
from types import FrameType

from lading.cli.client import Client, quote
from lading.cli.faults import Fault

_PASSED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCONT,
)
_ENOUGH = 3  # times that a user asks in vain


class Proxy:
    """While entered, signals go to the container; the third plea to end is ours."""

    def __init__(self, client: Client, container: str, *, wanted: bool) -> None:
        self._client = client
        self._container = container
        self._wanted = wanted
        self._pleas = 0

    def __enter__(self) -> Proxy:
        for number in _PASSED if self._wanted else ():
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1) keeps its promise
                signal.signal(number, self._pass)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _PASSED if self._wanted else ():
            if signal.getsignal(number) == self._pass:
                default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                signal.signal(number, default)

    def _pass(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number in (signal.SIGINT, signal.SIGTERM):
            self._pleas += 1
            if self._pleas >= _ENOUGH:
                raise Fault("got 3 SIGTERM/SIGINTs, forcefully exiting", 128 + number)
        try:
            self._client.post(f"/containers/{quote(self._container)}/kill", signal=name)
        except Fault:
            pass  # not started yet, or over already
