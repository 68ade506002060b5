"""Volumes: list, create, inspect, remove, prune."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.filters import Filters
from lading.api.router import Route
from lading.api.versions import Version
from lading.errors import Invalid, Unavailable
from lading.volume.values import Volume

_LIST = frozenset({"dangling", "driver", "label", "name"})
_PRUNE = frozenset({"label", "label!", "all"})
_ANONYMOUS_ONLY_SINCE = Version(1, 42)


class VolumeCreate(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of ``POST /volumes/create``."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None


async def list_all(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _LIST)
    filters.flag("dangling")
    found = await call.threads.short(_listed, call, filters)
    return replies.json({"Volumes": [shown(volume) for volume in found], "Warnings": None})


def _listed(call: Call, filters: Filters) -> list[Volume]:
    users = call.engine.volume_users()
    return call.engine.volumes.list(filters.as_mapping(), users=lambda name: users.get(name, ()))


async def create(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, VolumeCreate)
    if asked.cluster_volume_spec:
        raise Invalid("cluster volumes need a swarm, and lading has none")
    volume = await call.threads.short(
        call.engine.volumes.create,
        asked.name or None,
        asked.labels,
        asked.driver or "local",
        asked.driver_opts,
    )
    return replies.json(shown(volume), 201)


async def inspect(call: Call) -> web.StreamResponse:
    volume = await call.threads.short(call.engine.volumes.get, call.params["name"])
    return replies.json(shown(volume))


async def remove(call: Call) -> web.StreamResponse:
    force = call.query.flag("force")
    await call.threads.long(call.engine.remove_volume, call.params["name"], force=force)
    return replies.empty()


async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _PRUNE)
    wanted = filters.as_mapping()
    if filters.flag("all") is None and call.version < _ANONYMOUS_ONLY_SINCE:
        wanted["all"] = ["true"]
    names, size = await call.threads.long(call.engine.prune_volumes, wanted)
    return replies.json({"VolumesDeleted": names, "SpaceReclaimed": size})


async def update(call: Call) -> web.StreamResponse:
    raise Unavailable("This node is not a swarm manager: only cluster volumes can be updated")


def shown(volume: Volume) -> dict[str, Any]:
    """Docker's `Volume`."""
    return {
        "CreatedAt": volume.created,
        "Driver": volume.driver,
        "Labels": dict(volume.labels) or None,
        "Mountpoint": str(volume.path),
        "Name": volume.name,
        "Options": dict(volume.options) or None,
        "Scope": "local",
    }


ROUTES = (
    Route("GET", "/volumes", list_all),
    Route("POST", "/volumes/create", create),
    Route("POST", "/volumes/prune", prune),
    Route("GET", "/volumes/{name}", inspect),
    Route("PUT", "/volumes/{name}", update),
    Route("DELETE", "/volumes/{name}", remove),
)
