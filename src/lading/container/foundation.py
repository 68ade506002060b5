"""What a container stands on, as something to put one more layer on.

Its image may have been removed while it kept the layers; then the image's own JSON is gone, but
what it said lives on in the container's config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lading.container.record import Container
from lading.errors import Corrupt, NotFound
from lading.image.layers import Layer
from lading.image.library import Library
from lading.oci.config import ImageConfig
from lading.oci.digest import Digest
from lading.oci.documents import encode
from lading.oci.platform import Platform
from lading.snapshot.protocol import KeepsTars
from lading.store.leases import Lease


@dataclass(frozen=True, slots=True)
class Foundation:
    """The image below: *parent* is None where that has no name any more.

    Where it *is_missing* some layer cannot be had as a tar: the next one must hold everything.
    """

    config: ImageConfig
    layers: Sequence[Layer]
    parent: Digest | None = None
    is_missing: bool = False


def foundation(container: Container, library: Library, lease: Lease) -> Foundation:
    """The container's image as it is here, or what can be made of its layers; *lease* holds it."""
    try:
        image = library.image(Digest(container.image_id))
        return Foundation(image.config, library.kept(image, lease), image.id)
    except (Corrupt, NotFound):
        pass  # removed by force, or damaged
    layers = [_layer(Digest(diff_id), library, lease) for diff_id in container.layers]
    found = [layer for layer in layers if layer is not None]
    if len(found) < len(layers):
        return Foundation(_config([]), [], is_missing=True)
    return Foundation(_config(found), found)


def _layer(diff_id: Digest, library: Library, lease: Lease) -> Layer | None:
    """The layer in its blob, which is put back from the tar that the snapshotter keeps."""
    known = library.layers.holding(diff_id)
    layer = library.layers.find(known.blob.digest, lease) if known else None
    if layer is not None or not isinstance(library.snapshotter, KeepsTars):
        return layer
    tar = library.snapshotter.tar(diff_id)
    if tar is None:
        return None
    with tar.open("rb") as stream:
        return library.layers.ingest(stream, lease)


def _config(layers: Sequence[Layer]) -> ImageConfig:
    platform = Platform.of_host()
    diff_ids = [str(layer.diff_id) for layer in layers]
    fields = {
        "architecture": platform.architecture,
        "os": platform.os,
        "variant": platform.variant,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return ImageConfig.parse(encode(fields))
