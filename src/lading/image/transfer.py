"""The places that hold blobs, and the one way to carry an image from one to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from lading.errors import Invalid, NotFound
from lading.image.validate import check_size
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, InvalidDocument
from lading.oci.manifest import Index, Manifest
from lading.oci.platform import Platform
from lading.store.blobs import UnexpectedContent

_MOST_DEPTH = 4  # indexes within indexes
_MOST_DOCUMENTS = 256  # read to find one image


class Source(Protocol):
    """Where blobs come from."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, from the start; NotFound."""
        ...


class Target(Protocol):
    """Where blobs go."""

    def has(self, descriptor: Descriptor) -> bool:
        """Whether it need not be sent."""
        ...

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Keep the blob, verified; all that it names is there already."""
        ...


class NoSuchPlatform(NotFound):
    """Raised where an index has no image for the platform."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(f"no matching manifest for {platform} in the manifest list entries")


def copy(source: Source, target: Target, root: Descriptor) -> None:
    """Copy *root* and all it names: children first, so that nothing ever dangles."""
    if target.has(root):
        return
    for child in children(source, root):
        copy(source, target, child)
    with source.open(root) as stream:
        target.add(root, stream)


def children(source: Source, descriptor: Descriptor) -> list[Descriptor]:
    """What the document *descriptor* names; nothing for other blobs."""
    if descriptor.media_type in mediatypes.MANIFESTS:
        manifest = Manifest.parse(read(source, descriptor))
        return [manifest.config, *manifest.layers]
    if descriptor.media_type in mediatypes.INDEXES:
        index = Index.parse(read(source, descriptor))
        return [child for child, _ in index.manifests]
    return []


def select(source: Source, root: Descriptor, platform: Platform) -> Descriptor:
    """The manifest for *platform* that *root*, a manifest or an index, leads to; NoSuchPlatform."""
    budget = iter(range(_MOST_DOCUMENTS))
    found = next(_manifests(source, root, platform, budget, _MOST_DEPTH), None)
    if found is None:
        raise NoSuchPlatform(platform)
    return found


def read(source: Source, descriptor: Descriptor) -> bytes:
    """The document, verified; InvalidDocument when it is too large."""
    if descriptor.size > MOST_BYTES:
        raise InvalidDocument("document", f"{descriptor.size} bytes are too many")
    with source.open(descriptor) as stream:
        content = stream.read(MOST_BYTES + 1)
    check_size(descriptor, content)
    if descriptor.digest.algorithm == "sha256" and Digest.of(content) != descriptor.digest:
        raise UnexpectedContent(descriptor.digest, Digest.of(content))
    return content


def _manifests(
    source: Source,
    descriptor: Descriptor,
    platform: Platform,
    budget: Iterator[int],
    depth: int,
) -> Iterator[Descriptor]:
    """Fitting manifests, the best first as the index has them."""
    if descriptor.media_type not in mediatypes.INDEXES:
        yield descriptor
        return
    if next(budget, None) is None or not depth:
        raise Invalid("the index leads to too many others")
    index = Index.parse(read(source, descriptor))
    for child, said in index.manifests:
        if said is None or platform.accepts(said):
            yield from _manifests(source, child, platform, budget, depth - 1)
