"""The image that a container stands on, on its way to a target.

A plain target gets the image itself: manifest, configuration and layers as they are, shared
with every other backup of it.  An encrypted one gets its layers as a part, in sealed packs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from lading.backup.bill import IMAGE, Bill, Blob, CargoImage
from lading.backup.capture import Captured, layout
from lading.backup.contents import Contents, Pieces
from lading.backup.depot import Depot, Stored, packs_of
from lading.backup.packing import Chunk, Packing
from lading.backup.place import DamagedAtTarget
from lading.backup.tree import Entry, Kind
from lading.container.foundation import foundation
from lading.container.record import Container
from lading.errors import Conflict, LadingError
from lading.image import transfer
from lading.image.library import Library
from lading.image.saving import LibrarySource
from lading.image.streams import buffered
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.store.leases import Lease

_BLOBS = b"blobs"


class ImageGone(Conflict):
    """Raised where a container's image was removed, and its layers cannot be had."""

    def __init__(self, container: Container) -> None:
        super().__init__(
            f"the image of container {container.name} is gone, and cannot be made again from "
            "what is here: commit the container first, and back up one of the new image"
        )


@dataclass(frozen=True, slots=True)
class ImageAboard:
    """An image with the bytes of its documents."""

    manifest: Manifest
    config: bytes
    names: tuple[str, ...]
    reference: str

    @property
    def cargo(self) -> CargoImage:
        """As the bill has it."""
        return CargoImage(
            id=str(self.manifest.config.digest),
            reference=self.reference,
            names=list(self.names),
            descriptor=Blob.of(self.manifest.descriptor),
            manifest=self.manifest.raw,
            config=self.config,
        )


class Documents:
    """A `Source` that has some documents beside the library's blobs."""

    def __init__(self, library: Library, image: ImageAboard) -> None:
        self._blobs = LibrarySource(library)
        manifest = image.manifest
        self._own = {manifest.digest: manifest.raw, manifest.config.digest: image.config}

    def open(self, descriptor: Descriptor) -> BinaryIO:
        own = self._own.get(descriptor.digest)
        return self._blobs.open(descriptor) if own is None else io.BytesIO(own)


def aboard(container: Container, library: Library, lease: Lease) -> ImageAboard:
    """The container's image, or what can be made of its layers; *lease* holds it.  ImageGone."""
    base = foundation(container, library, lease)
    if base.is_missing:
        raise ImageGone(container)
    config = base.config
    names: tuple[str, ...] = ()
    try:
        if base.parent is None:
            raise ImageGone(container)
        manifest = library.image(base.parent).manifest
        names = tuple(name.familiar for name in library.names(base.parent))
    except LadingError:
        descriptor = Descriptor(mediatypes.OCI_CONFIG, config.id, len(config.raw))
        manifest = Manifest.of(descriptor, [layer.blob for layer in base.layers])
    return ImageAboard(manifest, config.raw, names, container.config.image)


def bring(image: ImageAboard, library: Library, depot: Depot) -> int:
    """Copy the image to a plain target; the bytes that were new there."""
    manifest = image.manifest
    blobs = [*manifest.layers, manifest.config, manifest.descriptor]
    added = sum(blob.size for blob in blobs if not depot.place.has(blob))
    transfer.copy(Documents(library, image), depot.place, manifest.descriptor)
    return added


class SealedLayers:
    """An image's layers as a part of a backup."""

    def __init__(self, image: ImageAboard, library: Library, packing: Packing) -> None:
        self._image, self._library, self._packing = image, library, packing
        self._files: list[tuple[Entry, tuple[Chunk, ...]]] = []

    def look(self) -> None:
        """Store the layers; they never change."""
        if self._files:
            return
        for blob in {layer.digest: layer for layer in self._image.manifest.layers}.values():
            with self._library.blobs.open(blob.digest) as stream:
                chunks = tuple(self._packing.store(stream.read))
            entry = Entry(path_of(blob.digest), Kind.FILE, mode=0o644, size=blob.size)
            self._files.append((entry, chunks))

    def finish(self) -> Captured:
        return layout(self._files)


def path_of(blob: Digest) -> bytes:
    """Where a layer is in the part."""
    return b"/".join((_BLOBS, blob.algorithm.encode(), blob.hex.encode()))


class KeptLayers:
    """The same, as an earlier backup at the target has them."""

    def __init__(self, depot: Depot, backup: Stored) -> None:
        self._depot, self._backup = depot, backup

    def look(self) -> None:
        """They are there."""

    def finish(self) -> Captured:
        part = self._backup.bill.part(IMAGE)
        assert part is not None
        tree = self._depot.tree(part)
        packs = packs_of(self._backup.bill)
        return Captured([packs[digest] for digest in tree.packs], tree.entries)


class StoredLayers:
    """An image's layers as a `Source`: blobs of a plain target, files of a sealed part."""

    def __init__(self, depot: Depot, bill: Bill) -> None:
        self._depot, part = depot, bill.part(IMAGE)
        self._contents = Contents.on(depot, bill)
        self._tree = depot.tree(part) if part else None

    def __enter__(self) -> StoredLayers:
        return self

    def __exit__(self, *failure: object) -> None:
        self._contents.__exit__(*failure)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if self._tree is None:
            return self._depot.place.open(descriptor)
        path = path_of(descriptor.digest)
        for entry in self._tree.entries:
            if entry.path == path:
                return buffered(Pieces(self._contents.pieces(self._tree, entry)))
        raise DamagedAtTarget(descriptor, "is not in the backup's packs")
