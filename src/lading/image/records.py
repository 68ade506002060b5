"""The rows under which the library remembers images, their names and their layers."""

from __future__ import annotations

import msgspec


class ImageRecord(msgspec.Struct, frozen=True):
    """By image ID.  Times are nanoseconds since 1970."""

    manifest: str
    added: int
    tagged: int = 0
    parent: str = ""


class NameRecord(msgspec.Struct, frozen=True):
    """By reference, complete: ``docker.io/library/nginx:latest`` or ``…@sha256:…``."""

    image: str


class LayerRecord(msgspec.Struct, frozen=True):
    """By the digest of the blob that holds the layer: what came out when it was expanded."""

    diff_id: str
    size: int  # of the uncompressed tar, in bytes
    media_type: str
