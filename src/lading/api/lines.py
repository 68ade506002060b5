"""Progress of a long job as JSON lines, one object a line, as Docker's clients draw it.

The job runs in a thread and never waits for the client: while the client is slow, only the
latest state of each bar is kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import web

from lading.api.call import Call
from lading.api.replies import JSON, message_of, status_of

_LOG = logging.getLogger(__name__)

Emit = Callable[[dict[str, Any]], None]
_SPACING = 0.1  # seconds between two states of one bar
_MOST_LINES = 10_000


class LineFeed:
    """Objects from a thread, batches of lines for the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._lines: dict[object, dict[str, Any]] = {}
        self._count = 0
        self._sent: dict[str, float] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def emit(self, line: dict[str, Any]) -> None:
        """Send *line* sooner or later; of a bar's states all but the latest may be left out."""
        with self._lock:
            if self._closed or len(self._lines) >= _MOST_LINES:
                return
            key = self._key(line)
            if key is None:
                return
            self._lines.pop(key, None)
            self._lines[key] = line
        self._loop.call_soon_threadsafe(self._ready.set)

    def _key(self, line: dict[str, Any]) -> object:
        """What *line* replaces; None for a bar that was drawn just now."""
        bar = line.get("id")
        progress = line.get("progressDetail")
        if not bar or not progress:
            self._count += 1
            return self._count
        now = time.monotonic()
        whole = progress.get("current") == progress.get("total")
        if not whole and now - self._sent.get(bar, 0.0) < _SPACING:
            return None
        self._sent[bar] = now
        return bar

    def close(self) -> None:
        """No more lines will come; to be called in the event loop."""
        self._closed = True
        self._ready.set()

    async def batches(self) -> AsyncIterator[bytes]:
        """The lines, as many at once as there are."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            with self._lock:
                lines, self._lines = self._lines, {}
            if lines:
                yield b"".join(encode_line(line) for line in lines.values())
            elif self._closed:
                return
            if self._closed:
                self._ready.set()


def encode_line(line: Any) -> bytes:
    """One line of a JSON stream; Docker ends them with CR LF."""
    return msgspec.json.encode(line) + b"\r\n"


def error_line(error: BaseException) -> dict[str, Any]:
    """How a stream says that its job failed."""
    message = message_of(error)
    return {"errorDetail": {"message": message, "code": status_of(error)}, "error": message}


async def stream_lines(
    call: Call, job: Callable[[Emit], None], *, content_type: str = JSON
) -> web.StreamResponse:
    """Answer with the lines that *job*, run in a thread, emits.

    A job that fails before its first line fails the request; later its error is the last line.
    """
    feed = LineFeed(asyncio.get_running_loop())
    work = asyncio.ensure_future(call.threads.long(job, feed.emit))
    work.add_done_callback(lambda _: feed.close())
    response: web.StreamResponse | None = None
    try:
        async for batch in feed.batches():
            response = response or await call.begin(content_type)
            await response.write(batch)
    except BaseException:  # the client has gone, and cannot be told how the job ends
        work.add_done_callback(_note)
        raise
    return await _end(call, work, response, content_type)


def _note(work: asyncio.Future[None]) -> None:
    """Log the end of a job that nobody waits for."""
    error = None if work.cancelled() else work.exception()
    if error is not None:
        _LOG.info("a job ended without its client: %s", message_of(error))


async def _end(
    call: Call,
    work: asyncio.Future[None],
    response: web.StreamResponse | None,
    content_type: str,
) -> web.StreamResponse:
    try:
        await work
    except Exception as error:
        if response is None:
            raise
        await response.write(encode_line(error_line(error)))
    return response or await call.begin(content_type)
