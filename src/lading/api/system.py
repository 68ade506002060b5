"""The engine itself: whether it answers, which version it is, and what it runs on."""

from __future__ import annotations

from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.router import Route
from lading.api.versions import NEWEST, OLDEST, Version

_WITHOUT_KERNEL_MEMORY = Version(1, 42)
_PING = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


async def ping(call: Call) -> web.StreamResponse:
    return replies.text("" if call.request.method == "HEAD" else "OK", _PING)


async def version(call: Call) -> web.StreamResponse:
    found = await call.threads.short(call.engine.system.version)
    api = {"ApiVersion": str(NEWEST), "MinAPIVersion": str(OLDEST)}
    for component in found.get("Components", ())[:1]:
        component["Details"] = {**component.get("Details", {}), **api}
    return replies.json({**found, **api})


async def describe(call: Call) -> web.StreamResponse:
    found = await call.threads.short(call.engine.system.describe)
    if call.version < _WITHOUT_KERNEL_MEMORY:
        found["KernelMemory"] = False
    return replies.json({**found, "NEventsListener": len(call.edge.feed)})


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", describe),
)
