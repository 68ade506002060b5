"""``--squash``: everything that the build added becomes one layer over its base."""

from __future__ import annotations

from pathlib import Path

from lading.build.copying import clamped
from lading.build.site import Site
from lading.build.state import State
from lading.image.edit import Step
from lading.layer import diff, pack
from lading.layer.pack import Output
from lading.oci.config import ImageConfig
from lading.oci.documents import encode


def squashed(state: State, site: Site) -> State:
    """The same image with its base's layers and one more; the history keeps every step."""
    image = site.library.image(state.base) if state.base else None
    kept = len(image.diff_ids) if image else 0
    if len(state.layers) <= kept + 1:
        return state
    worker = site.worker
    with worker.view(state.diff_ids[:kept]) as old, worker.view(state.diff_ids) as new:
        layer = site.ingest(lambda out: _write(old, new, out, site.request.epoch))
    below = _without_layers(state, kept)
    merged = f"merge {state.id} to {state.base or 'scratch'}"
    return below.then(Step(site.time(), "", merged, state.config.author), layer=layer)


def _write(old: Path, new: Path, out: Output, epoch: int | None) -> None:
    pack.pack(new, diff.trees(old, new), out, adjust=clamped(epoch))


def _without_layers(state: State, kept: int) -> State:
    """The image as if only the first *kept* layers had ever been there."""
    document = dict(state.config.document)
    seen, history = 0, []
    for entry in document.get("history") or ():
        is_empty = entry.get("empty_layer", False)
        seen += not is_empty
        history.append({**entry, "empty_layer": True} if seen > kept else entry)
    document["history"] = history
    diff_ids = [str(layer) for layer in state.diff_ids[:kept]]
    document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    return State(ImageConfig.parse(encode(document)), state.layers[:kept], state.base)
