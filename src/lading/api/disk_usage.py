"""``GET /system/df``: how much of the disk images, containers and volumes take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from lading.api import builds, image_shapes, replies, volumes
from lading.api.call import Call
from lading.api.container_list import listed
from lading.api.filters import Filters
from lading.api.router import Route
from lading.api.versions import Version
from lading.engine.engine import Engine
from lading.errors import Invalid, LadingError

Json = dict[str, Any]
_KINDS_SINCE = Version(1, 42)
_WITHOUT_VIRTUAL_SIZE = Version(1, 44)


async def disk_usage(call: Call) -> web.StreamResponse:
    kinds = call.query.all("type") if call.version >= _KINDS_SINCE else []
    for kind in kinds:
        if kind not in _PARTS:
            raise Invalid(f"unknown object type: {kind[:80]}")
    shown = await call.threads.long(_all, call.engine, kinds or list(_PARTS))
    if call.version < _WITHOUT_VIRTUAL_SIZE:
        for row in shown.get("Images", ()):
            row["VirtualSize"] = row["Size"]
    if call.version < _KINDS_SINCE:
        shown["BuilderSize"] = sum(row["Size"] for row in shown["BuildCache"])
    return replies.json(shown)


def _all(engine: Engine, kinds: list[str]) -> Json:
    shown: Json = {}
    for kind in kinds:
        shown |= _PARTS[kind](engine)
    return shown


def _images(engine: Engine) -> Json:
    used = Counter(container.image_id for container in engine.containers.list())
    rows = engine.library.list()
    layers: dict[str, int] = {}
    for row in rows:
        layers |= _layer_sizes(engine, str(row.id))
    shown = [image_shapes.summary(row, shared=True, containers=used[str(row.id)]) for row in rows]
    return {"LayersSize": sum(layers.values()), "Images": shown}


def _layer_sizes(engine: Engine, image_id: str) -> dict[str, int]:
    """Bytes by diff ID; nothing for an image too damaged to be read."""
    try:
        image = engine.library.resolve(image_id)
    except LadingError:
        return {}
    return {str(layer): size for layer, size in zip(image.diff_ids, image.sizes, strict=True)}


def _containers(engine: Engine) -> Json:
    return {"Containers": listed(engine, Filters(), everything=True, sizes=True)}


def _volumes(engine: Engine) -> Json:
    users = engine.volume_users()
    shown = []
    for volume in engine.volumes.list():
        usage = {"RefCount": len(users.get(volume.name, ())), "Size": engine.volumes.size(volume)}
        shown.append(volumes.shown(volume) | {"UsageData": usage})
    return {"Volumes": shown}


def _build_cache(engine: Engine) -> Json:
    return {"BuildCache": [builds.shown(row) for row in engine.builds.usage()]}


_PARTS: Mapping[str, Callable[[Engine], Json]] = {
    "image": _images,
    "container": _containers,
    "volume": _volumes,
    "build-cache": _build_cache,
}

ROUTES = (Route("GET", "/system/df", disk_usage),)
