"""lading's own verbs, beside Docker's: a first image, all about an image's layers, a reset."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.images import inspected
from lading.api.router import Route
from lading.engine.engine import Engine


async def inspect_image(call: Call) -> web.StreamResponse:
    shown = await call.threads.short(_with_layers, call.engine, call.params["name"])
    return replies.json(shown)


def _with_layers(engine: Engine, ref: str) -> dict[str, Any]:
    image, shown = inspected(engine, ref)
    parent = engine.library.parent(image.id)
    layers = [
        {
            "DiffID": str(row.diff_id),
            "ChainID": str(row.chain_id),
            "Digest": str(row.blob.digest),
            "MediaType": row.blob.media_type,
            "Size": row.size,
            "BlobSize": row.blob.size,
            "Path": row.path,
            "Driver": row.driver,
        }
        for row in engine.library.layer_rows(image)
    ]
    return shown | {
        "Lading": {
            "Manifest": str(image.manifest.digest),
            "Layers": layers,
            "Parents": [str(chain) for chain in reversed(image.chain_ids[:-1])],
            "Parent": str(parent or ""),
            "Raw": msgspec.Raw(image.config.raw),
        }
    }


async def reset(call: Call) -> web.StreamResponse:
    """Remove everything below this root; the daemon ends once this has been answered."""
    await call.threads.long(call.engine.reset)
    call.edge.stop()
    return replies.empty()


ROUTES = (
    Route("GET", "/lading/v1/images/{name...}/json", inspect_image),
    Route("POST", "/lading/v1/system/reset", reset),
)
