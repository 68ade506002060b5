"""Manifests and indexes, kept as the bytes they came as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument, array, encode, parse, table, text
from lading.oci.platform import Platform

_MOST_LAYERS = 4096
_MOST_MANIFESTS = 4096


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its config and its layers, bottom first (image-spec manifest.md)."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Take a manifest; InvalidDocument, also for one that is an index too (CVE-2021-41190)."""
        document = parse(raw, "manifest")
        if "manifests" in document or "fsLayers" in document:
            raise InvalidDocument("manifest", "it is also an index or an older schema")
        media_type = text(document.get("mediaType"), "manifest", "mediaType")
        if media_type not in ("", *mediatypes.MANIFESTS):
            raise InvalidDocument("manifest", f"its media type is {media_type[:100]!r}")
        if "config" not in document:
            raise InvalidDocument("manifest", "it has no config")
        layers = array(document.get("layers"), "manifest", "layers")
        if len(layers) > _MOST_LAYERS:
            raise InvalidDocument("manifest", f"{len(layers)} layers")
        return cls(
            raw,
            media_type or mediatypes.OCI_MANIFEST,
            Descriptor.parse(document["config"], "manifest"),
            tuple(Descriptor.parse(layer, "manifest") for layer in layers),
        )

    @classmethod
    def of(cls, config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
        """A new OCI manifest."""
        document = {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_MANIFEST,
            "config": config.document(),
            "layers": [layer.document() for layer in layers],
        }
        return cls(encode(document), mediatypes.OCI_MANIFEST, config, tuple(layers))

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.raw))


@dataclass(frozen=True, slots=True)
class Index:
    """Several manifests under one name (image-spec image-index.md)."""

    raw: bytes
    manifests: tuple[tuple[Descriptor, Platform | None], ...]

    @classmethod
    def parse(cls, raw: bytes) -> Index:
        """Take an index; InvalidDocument, also for one that is a manifest as well."""
        document = parse(raw, "index")
        if "layers" in document or "config" in document:
            raise InvalidDocument("index", "it is also a manifest")
        rows = array(document.get("manifests"), "index", "manifests")
        if len(rows) > _MOST_MANIFESTS:
            raise InvalidDocument("index", f"{len(rows)} manifests")
        return cls(raw, tuple((Descriptor.parse(row, "index"), _platform(row)) for row in rows))


def _platform(row: dict[str, Any]) -> Platform | None:
    fields = table(row.get("platform"), "index", "platform")
    if not fields:
        return None
    words = (text(fields.get(key), "index", key) for key in ("os", "architecture", "variant"))
    return Platform(*words)
