"""Do one thing to each of several operands: all are tried, each error is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from lading.cli.faults import Fault, Unreachable

_AT_ONCE = 50  # requests on their way, as in Docker

Act = Callable[[str], object]


def each(names: Sequence[str], act: Act, *, forgiven: Callable[[Fault], bool] | None = None) -> int:
    """Call *act* with each name, all at the same time; print what it answers, in their order.

    An answer of None prints the name.  A Fault is told on stderr and makes the exit code 1,
    unless it is *forgiven*; where no daemon answers, that is told once, by raising it.
    """
    code = 0
    for attempt in _attempts(names, act):
        error = attempt.error
        if error is None:
            print(attempt.name if attempt.answer is None else attempt.answer, flush=True)
        elif isinstance(error, Unreachable) or not isinstance(error, Fault):
            raise error
        else:
            print(f"lading: {error}", file=sys.stderr)
            code = code if forgiven is not None and forgiven(error) else 1
    return code


class _Attempt:
    """One name, and what came of it."""

    __slots__ = ("answer", "error", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.answer: object = None
        self.error: Exception | None = None

    def make(self, act: Act) -> None:
        try:
            self.answer = act(self.name)
        except Exception as error:
            self.error = error  # told by the caller, in its turn


def _attempts(names: Sequence[str], act: Act) -> Iterator[_Attempt]:
    """Every attempt once it is over, in order."""
    if len(names) == 1:
        only = _Attempt(names[0])
        only.make(act)
        yield only
        return
    from threading import Thread

    for start in range(0, len(names), _AT_ONCE):
        attempts = [_Attempt(name) for name in names[start : start + _AT_ONCE]]
        threads = [Thread(target=a.make, args=(act,), daemon=True) for a in attempts]
        for thread in threads:
            thread.start()
        for attempt, thread in zip(attempts, threads, strict=True):
            thread.join()
            yield attempt
