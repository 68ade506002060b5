"""``GET /containers/{id}/stats``: what a container uses, once or every second."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from lading.api import replies, usage
from lading.api.call import Call
from lading.api.replies import JSON
from lading.api.router import Route
from lading.api.usage import Sample
from lading.container.record import Container
from lading.errors import Invalid, NotFound

_EVERY = 1.0  # seconds


async def stats(call: Call) -> web.StreamResponse:
    stream = call.query.flag("stream", default=True)
    once = call.query.flag("one-shot")
    if stream and once:
        raise Invalid("cannot have stream=true and one-shot=true")
    container = await call.threads.short(call.engine.containers.get, call.params["id"])
    if stream:
        with call.endless():
            return await _stream(call, container.id)
    before = None
    if not once and container.running:
        before = await call.threads.short(_sampled, call, container)
        await asyncio.sleep(_EVERY)
    shown, _ = await call.threads.short(_look, call, container.id, before)
    return replies.json(shown)


async def _stream(call: Call, container_id: str) -> web.StreamResponse:
    """One line each second, until the client goes or the container is removed."""
    response = await call.begin(JSON)
    before: Sample | None = None
    while True:
        try:
            shown, before = await call.threads.short(_look, call, container_id, before)
        except NotFound:
            return response
        await response.write(replies.encoded(shown))
        await asyncio.sleep(_EVERY)


def _look(
    call: Call, container_id: str, before: Sample | None
) -> tuple[dict[str, Any], Sample | None]:
    container = call.engine.containers.get(container_id)
    named = {"name": f"/{container.name}", "id": container.id}
    now = _sampled(call, container)
    return (usage.shown(now, before) if now else usage.nothing()) | named, now


def _sampled(call: Call, container: Container) -> Sample | None:
    process = container.state.process
    if not container.running or process is None:
        return None
    return usage.sample(call.engine.containers.group(container.id), process.pid)


ROUTES = (Route("GET", "/containers/{id}/stats", stats),)
