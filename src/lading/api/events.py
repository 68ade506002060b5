"""``GET /events``: what happened, and what happens from now on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from lading.api.call import Call
from lading.api.event_filter import on_the_wire, wanted
from lading.api.feed import Subscription
from lading.api.filters import Filters
from lading.api.lines import encode_line
from lading.api.replies import JSON
from lading.api.router import Route
from lading.api.times import SECOND, parse_moment
from lading.errors import Invalid
from lading.events import Event

_NAMES = frozenset(
    {
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    }
)


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in nanoseconds since 1970; None: from now, for ever."""

    since: int | None
    until: int | None

    def holds(self, event: Event) -> bool:
        after = self.since is None or event.time_ns >= self.since
        return after and (self.until is None or event.time_ns <= self.until)


async def events(call: Call) -> web.StreamResponse:
    """A stream of JSON lines that ends at ``until``, or with the client."""
    span = _span(call)
    filters = Filters.parse(call.query.text("filters"), _NAMES)
    with call.endless(), call.edge.feed.subscribe() as coming:
        past = call.edge.feed.history() if span != Span(None, None) else []
        response = await call.begin(JSON)
        await _write(response, past, span, filters)
        await _follow(response, coming, Span(None, span.until), filters)
    return response


def _span(call: Call) -> Span:
    now = time.time_ns()
    since, until = call.query.text("since"), call.query.text("until")
    span = Span(
        parse_moment(since, now) if since else None,
        parse_moment(until, now) if until else None,
    )
    if span.since is not None and span.until is not None and span.until < span.since:
        raise Invalid(f"`since` time ({since}) cannot be after `until` time ({until})")
    return span


async def _follow(
    response: web.StreamResponse, coming: Subscription, span: Span, filters: Filters
) -> None:
    left = None if span.until is None else (span.until - time.time_ns()) / SECOND
    try:
        async with asyncio.timeout(left):
            while not coming.overrun:
                await _write(response, await coming.get(), span, filters)
    except TimeoutError:
        pass


async def _write(
    response: web.StreamResponse, events: Sequence[Event], span: Span, filters: Filters
) -> None:
    lines = [on_the_wire(e) for e in events if span.holds(e) and wanted(e, filters)]
    if lines:
        await response.write(b"".join(map(encode_line, lines)))


ROUTES = (Route("GET", "/events", events),)
