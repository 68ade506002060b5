"""Images: list, inspect, history, tag, remove, prune."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from lading.api import image_shapes as shapes
from lading.api import replies
from lading.api.call import Call
from lading.api.containers import check_until
from lading.api.filters import Filters
from lading.api.image_filters import NAMES, chosen
from lading.api.references import repo_and_tag
from lading.api.router import Route
from lading.api.versions import Version
from lading.engine.engine import Engine
from lading.errors import Invalid
from lading.image.history import history
from lading.image.image import Image

_PRUNE = frozenset({"dangling", "until", "label", "label!"})
_WITHOUT_NONE = Version(1, 43)  # the first not to call dangling images <none>:<none>
_WITHOUT_VIRTUAL_SIZE = Version(1, 44)
_WITHOUT_CONTAINER_CONFIG = Version(1, 45)
_PLAIN_CONFIG = Version(1, 50)
_OF_CONTAINERS_ONLY = frozenset(
    {
        "Hostname",
        "Domainname",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Image",
        "NetworkDisabled",
        "MacAddress",
        "StopTimeout",
    }
)


async def list_all(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), NAMES)
    shown = await call.threads.short(
        listed, call.engine, filters, shared=call.query.flag("shared-size")
    )
    return replies.json([_for_version(row, call.version) for row in shown])


def listed(engine: Engine, filters: Filters, *, shared: bool = False) -> list[dict[str, Any]]:
    """The summaries of the images asked for, newest first."""
    rows = engine.library.list()
    created = {row.id: row.created for row in rows}
    limits = {
        name: [created.get(engine.library.resolve(ref).id, 0) for ref in filters.all(name)]
        for name in ("before", "since")
    }
    found = chosen(rows, filters, now_ns=time.time_ns(), **limits)
    return [shapes.summary(row, shared=shared) for row in found]


def _for_version(row: dict[str, Any], version: Version) -> dict[str, Any]:
    if version < _WITHOUT_NONE and not row["RepoTags"] and not row["RepoDigests"]:
        row |= {"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}
    if version < _WITHOUT_VIRTUAL_SIZE:
        row["VirtualSize"] = row["Size"]
    return row


async def inspect(call: Call) -> web.StreamResponse:
    image, shown = await call.threads.short(inspected, call.engine, call.params["name"])
    if call.version < _WITHOUT_VIRTUAL_SIZE:
        shown["VirtualSize"] = image.size
    if call.version < _WITHOUT_CONTAINER_CONFIG or _is_old_compose(call):
        shown = shapes.with_container_config(shown, image)
    if call.version >= _PLAIN_CONFIG:
        kept = {k: v for k, v in shown["Config"].items() if k not in _OF_CONTAINERS_ONLY}
        shown["Config"] = kept
    return replies.json(shown)


def _is_old_compose(call: Call) -> bool:
    """Whether it asks that speaks the newest version and knows no image without that field."""
    return call.request.headers.get("User-Agent", "").startswith("docker-compose/1.")


def inspected(engine: Engine, ref: str) -> tuple[Image, dict[str, Any]]:
    """The image, and how the API shows it."""
    library = engine.library
    image = library.resolve(ref)
    row = library.catalogue.images.get(str(image.id))
    paths = [row.path for row in library.layer_rows(image) if row.path]
    graph = {"UpperDir": paths[-1], "LowerDir": ":".join(reversed(paths[:-1]))} if paths else {}
    shown = shapes.inspect(
        image,
        library.names(image.id),
        row,
        driver=engine.snapshotter.name,
        graph={key: value for key, value in graph.items() if value},
    )
    return image, shown


async def show_history(call: Call) -> web.StreamResponse:
    rows = await call.threads.short(_history, call)
    return replies.json(shapes.history(rows))


def _history(call: Call) -> Any:
    image = call.engine.library.resolve(call.params["name"])
    return history(image, call.engine.library.names(image.id))


async def tag(call: Call) -> web.StreamResponse:
    reference = repo_and_tag(call.query.text("repo"), call.query.text("tag"))
    if reference is None:
        raise Invalid("no repository is named for the tag")
    await call.threads.short(_tag, call, reference)
    return replies.empty(201)


def _tag(call: Call, reference: Any) -> None:
    image = call.engine.library.resolve(call.params["name"])
    call.engine.library.tag(image.id, reference)


async def remove(call: Call) -> web.StreamResponse:
    gone = await call.threads.long(
        call.engine.images.remove, call.params["name"], force=call.query.flag("force")
    )
    return replies.json(shapes.removals(gone))


async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _PRUNE)
    filters.flag("dangling")
    check_until(filters)
    gone, size = await call.threads.long(call.engine.images.prune, filters.as_mapping())
    return replies.json({"ImagesDeleted": shapes.removals(gone) or None, "SpaceReclaimed": size})


ROUTES = (
    Route("GET", "/images/json", list_all),
    Route("POST", "/images/prune", prune),
    Route("GET", "/images/{name...}/json", inspect),
    Route("GET", "/images/{name...}/history", show_history),
    Route("POST", "/images/{name...}/tag", tag),
    Route("DELETE", "/images/{name...}", remove),
)
