"""Run a build in a thread while its lines go out; a client that goes away ends the build.

The thread waits for a client that reads slowly: no line of a command's output is lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable

from aiohttp import web

from lading.api.build_words import Line, Words
from lading.api.call import Call
from lading.api.lines import encode_line
from lading.api.replies import JSON
from lading.build.cancelling import Cancellation, Cancelled
from lading.build.request import Built
from lading.build.telling import Event, Listener

Work = Callable[[Listener, Cancellation], Built]
_MOST_WAITING = 1000  # lines
_LOOK = 0.5  # seconds between two looks at whether the client is still there


class PatientFeed:
    """Lines from a thread, which waits while the client has enough of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: deque[bytes] = deque()
        self._change = threading.Condition()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, lines: Iterable[Line]) -> None:
        """Send *lines*; nothing once nobody reads any more."""
        for line in lines:
            with self._change:
                self._change.wait_for(lambda: self._closed or len(self._lines) < _MOST_WAITING)
                if self._closed:
                    return
                self._lines.append(encode_line(line))
            self._loop.call_soon_threadsafe(self._ready.set)

    def close(self) -> None:
        """Nobody reads any more."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._loop.call_soon_threadsafe(self._ready.set)

    def taken(self) -> bytes:
        """What has come; the event loop's."""
        with self._change:
            content = b"".join(self._lines)
            self._lines.clear()
            self._change.notify_all()
        return content

    async def wait(self) -> None:
        """Until something has come, or it is time to look at the client."""
        try:
            await asyncio.wait_for(self._ready.wait(), _LOOK)
        except TimeoutError:
            return
        self._ready.clear()


async def stream_build(call: Call, work: Work, words: Words) -> web.StreamResponse:
    """Answer with the lines of *work*; one that fails before its first line fails the request."""
    feed = PatientFeed(call.loop)
    cancellation = Cancellation()

    def tell(event: Event) -> None:
        feed.put(words.lines(event))

    def run() -> Built:
        return work(tell, cancellation)

    task = asyncio.ensure_future(call.threads.long(run))
    task.add_done_callback(lambda _: feed.close())
    response: web.StreamResponse | None = None
    try:
        while not task.done():
            await feed.wait()
            _check_client(call)
            response = await _sent(call, response, feed.taken())
        response = await _sent(call, response, feed.taken())
        return await _end(call, task, response, words)
    finally:
        cancellation.cancel()
        feed.close()


async def _end(
    call: Call, task: asyncio.Future[Built], response: web.StreamResponse | None, words: Words
) -> web.StreamResponse:
    try:
        last = list(words.last(await task))
    except Exception as error:
        if response is None:
            raise
        last = [words.failed(error)]
    content = b"".join(encode_line(line) for line in last)
    sent = await _sent(call, response, content)
    assert sent is not None
    return sent


async def _sent(
    call: Call, response: web.StreamResponse | None, content: bytes
) -> web.StreamResponse | None:
    if content:
        response = response or await call.begin(JSON)
        await response.write(content)
    return response


def _check_client(call: Call) -> None:
    transport = call.request.transport
    if transport is None or transport.is_closing():
        raise Cancelled
