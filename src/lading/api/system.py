"""The engine itself: whether it answers, what it is, what it holds and how much of the disk."""

from __future__ import annotations

from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.router import Route
from lading.api.versions import NEWEST, OLDEST, Version
from lading.errors import Invalid

_PING = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}
_KINDS = frozenset({"container", "image", "volume", "build-cache"})
_KINDS_SINCE = Version(1, 42)


async def ping(call: Call) -> web.StreamResponse:
    return replies.text("" if call.request.method == "HEAD" else "OK", _PING)


async def version(call: Call) -> web.StreamResponse:
    found = await call.threads.short(call.engine.system.version)
    api = {"ApiVersion": str(NEWEST), "MinAPIVersion": str(OLDEST)}
    for component in found.get("Components", ())[:1]:
        component["Details"] = {**component.get("Details", {}), **api}
    return replies.json({**found, **api})


async def info(call: Call) -> web.StreamResponse:
    found = await call.threads.short(call.engine.system.info)
    return replies.json({**found, "NEventsListener": len(call.edge.feed)})


async def disk_usage(call: Call) -> web.StreamResponse:
    kinds = call.query.all("type") if call.version >= _KINDS_SINCE else []
    for kind in kinds:
        if kind not in _KINDS:
            raise Invalid(f"unknown object type: {kind[:80]}")
    found = await call.threads.long(call.engine.system.disk_usage, kinds or None)
    return replies.json(found)


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/system/df", disk_usage),
)
