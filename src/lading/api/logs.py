"""``GET /containers/{id}/logs``: what a container wrote, and what it goes on writing.

Whoever follows holds no thread: the log's directory is watched, and what was added is read
in the event loop, which it takes microseconds to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web

from lading.api.call import Call
from lading.api.log_files import LogReader
from lading.api.log_format import LogFormat, LogWishes
from lading.api.router import Route
from lading.api.stdcopy import MULTIPLEXED, RAW
from lading.api.times import SECOND, parse_moment
from lading.api.versions import Version
from lading.container.record import Container
from lading.errors import Invalid

_MULTIPLEXED_SINCE = Version(1, 42)
Write = Callable[[bytes], Awaitable[None]]


async def logs(call: Call) -> web.StreamResponse:
    if not (call.query.flag("stdout") or call.query.flag("stderr")):
        raise Invalid("Bad parameters: you must choose at least one stream")
    container = await call.threads.short(call.engine.containers.get, call.params["id"])
    await call.threads.short(call.engine.containers.log_files, container.id)
    wishes = _wishes(call, container)
    multiplexed = not wishes.raw and call.version >= _MULTIPLEXED_SINCE
    tail = _tail(call.query.text("tail"))
    with call.endless():
        response = await call.begin(MULTIPLEXED if multiplexed else RAW)
        follow = call.query.flag("follow") and container.state.status.is_up
        log = LogStream(call, container.id, wishes, tail)
        try:
            await (log.follow(response.write) if follow else log.replay(response.write))
        finally:
            log.close()
    return response


def _wishes(call: Call, container: Container) -> LogWishes:
    now = time.time_ns()
    since, until = call.query.text("since"), call.query.text("until")
    return LogWishes(
        stdout=call.query.flag("stdout"),
        stderr=call.query.flag("stderr"),
        since=parse_moment(since, now) if since not in ("", "0") else None,
        until=parse_moment(until, now) if until not in ("", "0") else None,
        timestamps=call.query.flag("timestamps"),
        raw=container.config.tty,
    )


def _tail(text: str) -> int | None:
    """How many entries from the end; None for all, which is what Docker takes other words for."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


class LogStream:
    """One client's way through one container's log."""

    def __init__(self, call: Call, container: str, wishes: LogWishes, tail: int | None) -> None:
        self._call = call
        self._container = container
        self._until = wishes.until
        self._tail = tail
        self._format = LogFormat(wishes)
        self._reader = LogReader(self._files)
        self._written = asyncio.Event()
        self._ended = False

    def close(self) -> None:
        self._reader.close()

    async def replay(self, write: Write) -> None:
        """Everything that is there."""
        if self._tail is not None:
            await self._call.threads.short(self._reader.skip_to_last, self._tail)
        while entries := await self._call.threads.short(self._reader.read):
            await write(self._format.encode(entries))
            if self._format.past_the_end:
                return

    async def follow(self, write: Write) -> None:
        """The same, and what comes until the container ends or ``until`` has come."""
        left = None if self._until is None else (self._until - time.time_ns()) / SECOND
        directory, cancel = await self._call.threads.short(self._watch_end)
        # Watched before anything is read: what is added while reading is seen afterwards.
        forget = self._call.edge.inotify.watch(directory, self._written.set)
        try:
            async with asyncio.timeout(left):
                await self.replay(write)
                await self._go_on(write)
        except TimeoutError:
            pass
        finally:
            forget()
            cancel()

    async def _go_on(self, write: Write) -> None:
        while not self._format.past_the_end:
            await self._written.wait()
            self._written.clear()
            ended = self._ended  # looked at first: what was written before the end is read below
            while entries := self._reader.read():
                await write(self._format.encode(entries))
                await asyncio.sleep(0)  # a fast writer must not keep the loop
            if ended:
                return

    def _watch_end(self) -> tuple[Path, Callable[[], None]]:
        """Where the log lies, and how to hear no more of the container's end."""
        containers = self._call.engine.containers
        cancel = containers.watch(self._container, "next-exit", self._heard_end)
        if not containers.get(self._container).state.status.is_up:
            self._heard_end(0, "")  # it ended before it was watched
        return self._files()[-1].parent, cancel

    def _heard_end(self, code: int, error: str) -> None:
        """Called in the engine's thread."""
        self._call.loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ended = True
        self._written.set()

    def _files(self) -> Sequence[Path]:
        return self._call.engine.containers.log_files(self._container)


ROUTES = (Route("GET", "/containers/{id}/logs", logs),)
