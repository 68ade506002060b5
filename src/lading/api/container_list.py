"""Which containers there are, and all about one: ``GET /containers/json``, ``.../{id}/json``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from lading.api import container_filters as wanted
from lading.api import replies
from lading.api.call import Call
from lading.api.container_shapes import Surroundings, inspect, summary
from lading.api.filters import Filters
from lading.api.graph import graph_of
from lading.api.router import Route
from lading.container.record import Container
from lading.engine.engine import Engine
from lading.errors import LadingError
from lading.volume.values import MountPoint


async def list_all(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), wanted.NAMES)
    wanted.check(filters)
    shown = await call.threads.short(
        listed,
        call.engine,
        filters,
        everything=call.query.flag("all"),
        limit=call.query.number("limit") or 0,
        sizes=call.query.flag("size"),
    )
    return replies.json(shown)


async def inspect_one(call: Call) -> web.StreamResponse:
    shown = await call.threads.short(
        _inspected, call.engine, call.params["id"], sizes=call.query.flag("size")
    )
    return replies.json(shown)


def listed(
    engine: Engine,
    filters: Filters,
    *,
    everything: bool = False,
    limit: int = 0,
    sizes: bool = False,
) -> list[dict[str, Any]]:
    """The summaries of the containers asked for, newest first.

    A *limit* counts stopped ones too, as do filters that only they can pass.
    """
    everything = everything or limit > 0 or wanted.shows_stopped(filters)
    found = [c for c in _between(engine, filters) if everything or c.state.status.is_up]
    tests = wanted.tests(filters, _ancestors(engine, filters), engine.networks.sandbox)
    found = [c for c in found if all(test(c) for test in tests)]
    names = _image_names(engine, found)
    now = time.time_ns()
    return [
        summary(c, _around(engine, c, names[c.config.image, c.image_id], sizes=sizes), now)
        for c in (found[:limit] if limit > 0 else found)
    ]


def _between(engine: Engine, filters: Filters) -> Sequence[Container]:
    """All containers, or those ``before`` and ``since`` others by the time of their making."""
    found: Sequence[Container] = engine.containers.list()
    before = [engine.containers.get(ref).created for ref in filters.all("before")]
    since = [engine.containers.get(ref).created for ref in filters.all("since")]
    return [
        c
        for c in found
        if all(c.created < limit for limit in before) and all(c.created > limit for limit in since)
    ]


def _ancestors(engine: Engine, filters: Filters) -> dict[str, Sequence[str]]:
    """For each ``ancestor``: the IDs of the images made of it, itself included."""
    return {ref: _descendants(engine, ref) for ref in filters.all("ancestor")}


def _descendants(engine: Engine, ref: str) -> Sequence[str]:
    try:
        image = engine.library.resolve(ref)
    except LadingError:
        return ()
    layers = [str(layer) for layer in image.diff_ids]
    made = [c.image_id for c in engine.containers.list() if c.layers[: len(layers)] == layers]
    return [str(image.id), *made]


def _image_names(engine: Engine, containers: Sequence[Container]) -> Mapping[tuple[str, str], str]:
    """How to call each container's image: as it was asked for, while that still means it."""
    pairs = {(c.config.image, c.image_id) for c in containers}
    return {(name, image_id): _still_named(engine, name, image_id) for name, image_id in pairs}


def _still_named(engine: Engine, name: str, image_id: str) -> str:
    try:
        return name if str(engine.library.resolve(name).id) == image_id else image_id
    except LadingError:
        return image_id


def _inspected(engine: Engine, ref: str, *, sizes: bool) -> dict[str, Any]:
    container = engine.containers.get(ref)
    return inspect(container, _around(engine, container, "", sizes=sizes, graph=True))


def _around(
    engine: Engine, container: Container, image: str, *, sizes: bool, graph: bool = False
) -> Surroundings:
    size = engine.containers.sizes(container.id) if sizes else None
    directory = engine.settings.containers / container.id
    return Surroundings(
        directory=directory,
        volumes=_volume_paths(engine, container.mounts),
        graph=graph_of(engine.snapshotter, container.id, directory) if graph else {},
        execs=engine.execs.of(container.id) if graph else (),
        image=image,
        sizes=(size.rw, size.rootfs) if size else None,
        sandbox=engine.networks.sandbox(container.id) if container.running else None,
    )


def _volume_paths(engine: Engine, mounts: Sequence[MountPoint]) -> dict[str, Path]:
    paths = {}
    for point in mounts:
        if point.kind == "volume" and point.name:
            try:
                paths[point.name] = engine.volumes.get(point.name).path
            except LadingError:  # removed by force: what is left is its name
                continue
    return paths


ROUTES = (
    Route("GET", "/containers/json", list_all),
    Route("GET", "/containers/{id}/json", inspect_one),
)
