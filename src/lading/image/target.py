"""The library as a place that images are carried to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from lading.errors import Unsupported
from lading.image import validate
from lading.image.image import Image
from lading.image.layers import Layer
from lading.image.library import Library
from lading.image.streams import pour
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.documents import MOST_BYTES, InvalidDocument
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference
from lading.store.leases import Lease

_SMALL = 1024 * 1024  # bytes that are read as fast as they are looked for


class NotALayer(Unsupported):
    """Raised for an image that names something else as a layer."""

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__(f"unsupported layer {descriptor.digest}: {descriptor.media_type[:100]!r}")


class LibraryTarget:
    """Takes the blobs of one image; its manifest, the last, makes it part of the library."""

    def __init__(
        self, library: Library, lease: Lease, references: Sequence[Reference] = ()
    ) -> None:
        self._library, self._lease, self._references = library, lease, references
        self.image: Image | None = None  # once its manifest has come

    def has(self, descriptor: Descriptor) -> bool:
        if mediatypes.is_layer(descriptor.media_type):
            return self._has_layer(descriptor)
        if descriptor.media_type in mediatypes.MANIFESTS:
            return False  # it is small, and with it come the names
        return self._library.holds(descriptor.digest, self._lease) and (
            self._library.blobs.is_whole(descriptor.digest)
        )

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        if mediatypes.is_layer(descriptor.media_type):
            self._library.layers.ingest(stream, self._lease, expected=descriptor)
        elif descriptor.media_type in mediatypes.MANIFESTS:
            self._add_manifest(descriptor, stream.read(MOST_BYTES + 1))
        else:
            self._add_blob(descriptor, stream)

    def _has_layer(self, descriptor: Descriptor) -> bool:
        """Whether it is here and whole; the bytes of large ones are the source's business."""
        layers = self._library.layers
        look = layers.verified if descriptor.size <= _SMALL else layers.find
        found = look(descriptor.digest, self._lease)
        return found is not None and found.blob.size == descriptor.size

    def _add_blob(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        if descriptor.size > MOST_BYTES:
            raise InvalidDocument("config", f"{descriptor.size} bytes are too many")
        with self._library.blobs.write() as writer:
            pour(stream, writer)
            validate.check_length(descriptor, writer.size)
            self._library.hold(descriptor.digest, self._lease)
            writer.commit(descriptor.digest)

    def _add_manifest(self, descriptor: Descriptor, content: bytes) -> None:
        manifest = Manifest.parse(content)
        validate.check_size(descriptor, content)
        validate.check_manifest(manifest)
        config = self._library.blobs.read(manifest.config.digest)
        validate.check_size(manifest.config, config)
        self.image = self._library.add(
            config,
            [self._layer(layer) for layer in manifest.layers],
            self._lease,
            manifest=manifest,
            references=self._references,
        )

    def _layer(self, descriptor: Descriptor) -> Layer:
        layer = self._library.layers.find(descriptor.digest, self._lease)
        if layer is None:
            raise NotALayer(descriptor)
        if layer.blob.size != descriptor.size:
            raise validate.WrongSize(descriptor, layer.blob.size)
        return layer
