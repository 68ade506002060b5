"""One request on its way through: what it asks, and what its handler may use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from lading.api.query import Query
from lading.api.replies import HEADERS
from lading.api.threads import Threads
from lading.api.versions import Version

if TYPE_CHECKING:
    from lading.api.feed import Feed
    from lading.api.inotify import Inotify
    from lading.engine.engine import Engine


@dataclass(slots=True)
class Edge:
    """What all requests share."""

    engine: Engine
    threads: Threads
    feed: Feed
    inotify: Inotify
    loop: asyncio.AbstractEventLoop
    stop: Callable[[], None]  # makes the daemon exit, after the answer has gone out
    endless: set[asyncio.Task[object]] = field(default_factory=set)

    def close(self) -> None:
        """Serve no more."""
        self.feed.close()
        self.inotify.close()
        self.threads.close()


@dataclass(slots=True)
class Call:
    """A request: path parameters by name, the query, the version spoken."""

    request: web.BaseRequest
    edge: Edge
    version: Version
    params: Mapping[str, str]
    query: Query
    began: bool = False  # whether a part of the answer has left

    @property
    def engine(self) -> Engine:
        return self.edge.engine

    @property
    def threads(self) -> Threads:
        return self.edge.threads

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.edge.loop

    async def begin(
        self, content_type: str, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> web.StreamResponse:
        """Send the head of an answer whose body comes piece by piece."""
        head = {**HEADERS, **(headers or {})}
        if content_type:
            head["Content-Type"] = content_type
        response = web.StreamResponse(status=status, headers=head)
        self.began = True
        await response.prepare(self.request)
        return response

    @contextmanager
    def endless(self) -> Iterator[None]:
        """Around what ends only with its client or its container: cut off when the daemon stops."""
        task = asyncio.current_task()
        assert task is not None
        self.edge.endless.add(task)
        try:
            yield
        finally:
            self.edge.endless.discard(task)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
