"""Image archives: what `load` takes and `save` writes.

One archive holds any number of images under any number of names, as an OCI layout, as
Docker writes it, or as both; an image that stands in both is one image with all its names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lading.errors import Invalid
from lading.image import docker_archive, legacy_archive, oci_layout
from lading.image.image import Image
from lading.image.intake import Intake, receive
from lading.image.library import Library
from lading.image.progress import Listener, silent
from lading.image.saving import save
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.store.leases import Lease

__all__ = ["Loaded", "NoImages", "load", "save"]


class NoImages(Invalid):
    """Raised for a tar that is no image archive; the first words are Docker's."""

    def __init__(self) -> None:
        super().__init__(
            "invalid archive: does not contain a manifest.json, an index.json or repositories "
            "(to make an image of a root file system, import it)"
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image (by ID) that came, and the names that the archive gave it."""

    image: Digest
    names: tuple[Reference, ...]


class _Found(Protocol):
    """An image in an archive, its documents read."""

    @property
    def id(self) -> Digest: ...

    @property
    def names(self) -> Sequence[Reference]: ...

    def bring(
        self, intake: Intake, library: Library, lease: Lease, names: Sequence[Reference]
    ) -> Callable[[], Image]:
        """See that all it is made of is here and is what its documents say; how to record it."""
        ...


def load(library: Library, stream: BinaryIO, *, on_progress: Listener = silent) -> Sequence[Loaded]:
    """Take the images of an archive: all of them, or none.

    *stream* is a tar, compressed or not, and need not be seekable.  NoImages, NoSuchPlatform,
    Unsupported; other kinds of Invalid where the archive contradicts itself.
    """
    with library.lease() as lease:
        intake = receive(library, stream, lease, on_progress)
        arrivals = _arrivals(intake)
        ready = [found.bring(intake, library, lease, names) for found, names in arrivals]
        with library.together():
            images = [record() for record in ready]
    loaded = [Loaded(image.id, names) for image, (_, names) in zip(images, arrivals, strict=True)]
    _tell(library, loaded)
    return loaded


def _arrivals(intake: Intake) -> list[tuple[_Found, tuple[Reference, ...]]]:
    """Each image with all of its names.

    An OCI layout goes first: it knows the manifests, which Docker's documents leave out.
    """
    images: list[_Found] = []
    if intake.has("index.json"):
        images += oci_layout.images(intake)
    if intake.has("manifest.json"):
        images += docker_archive.images(intake)
    if not images and not intake.has("manifest.json"):
        images += legacy_archive.images(intake)
    if not images:
        raise NoImages
    found = {image.id: image for image in reversed(images)}
    names: dict[Digest, dict[Reference, None]] = {image.id: {} for image in images}
    for image in images:
        names[image.id] |= dict.fromkeys(image.names)
    return [(found[image], tuple(names[image])) for image in names]


def _tell(library: Library, loaded: Sequence[Loaded]) -> None:
    for image in loaded:
        for name in [name.familiar for name in image.names] or [str(image.image)]:
            library.bus.publish("image", "load", str(image.image), {"name": name})
