"""The threads that synchronous engine calls run in, so that the event loop never waits.

Four pools, so that one kind of work cannot starve another: *short* calls, *starts* of
processes, calls that *wait* for a container to stop, and *long* jobs that move whole images.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_SHORT = 16
_STARTING = 16
_WAITING = 64
_LONG = 8


class Threads:
    """Run synchronous functions beside the event loop; threads are made when first needed."""

    def __init__(self) -> None:
        self._short = ThreadPoolExecutor(_SHORT, "api-short")
        self._starting = ThreadPoolExecutor(_STARTING, "api-start")
        self._waiting = ThreadPoolExecutor(_WAITING, "api-wait")
        self._long = ThreadPoolExecutor(_LONG, "api-long")

    async def short(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that takes milliseconds."""
        return await _run(self._short, partial(call, *args, **kwargs))

    async def starting(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that starts a process: it waits for none to end."""
        return await _run(self._starting, partial(call, *args, **kwargs))

    async def waiting(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that may wait for a process, such as stop."""
        return await _run(self._waiting, partial(call, *args, **kwargs))

    async def long(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that moves much data."""
        return await _run(self._long, partial(call, *args, **kwargs))

    def close(self) -> None:
        """Take no more work; what runs is left to end by itself."""
        for pool in (self._short, self._starting, self._waiting, self._long):
            pool.shutdown(wait=False, cancel_futures=True)


async def _run(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, call)
