"""OCI layouts: index.json names manifests, or indexes of them, each a blob (image-layout.md)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lading.errors import Invalid, Unsupported
from lading.image import transfer, validate
from lading.image.docker_archive import tag
from lading.image.image import Image
from lading.image.intake import Intake
from lading.image.library import Library
from lading.image.target import LibraryTarget, NotALayer
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import parse, text
from lading.oci.manifest import Index, Manifest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.store.leases import Lease

IMAGE_NAME = "io.containerd.image.name"  # the whole name
REF_NAME = "org.opencontainers.image.ref.name"  # a tag for some, the whole name for others
VERSION = "1.0.0"
_TAG_ALONE = re.compile(r"latest|v?[0-9][0-9A-Za-z_.-]*")  # nobody calls a repository so

_Row = tuple[Descriptor, Platform | None]


class MediaTypesDiffer(Invalid):
    """Raised for a document that is another thing than its descriptor says."""

    def __init__(self, descriptor: Descriptor, found: str) -> None:
        super().__init__(
            f"{descriptor.digest} is announced as {descriptor.media_type[:100]!r}, "
            f"and says that it is {found[:100]!r}"
        )


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """An image with its manifest, whose digest stays."""

    manifest: Manifest
    names: tuple[Reference, ...]

    @property
    def id(self) -> Digest:
        return self.manifest.config.digest

    def bring(
        self, intake: Intake, library: Library, lease: Lease, names: Sequence[Reference]
    ) -> Callable[[], Image]:
        """Carry what the manifest names into the library; the manifest itself goes last."""
        target = LibraryTarget(library, lease, names)
        for child in (self.manifest.config, *self.manifest.layers):
            transfer.copy(intake, target, child)

        def record() -> Image:
            target.add(self.manifest.descriptor, io.BytesIO(self.manifest.raw))
            return library.image(self.id)

        return record


def images(intake: Intake) -> list[LayoutImage]:
    """The layout's images for this host; NoSuchPlatform, NotAnImage when it holds none at all.

    What else a layout may hold (signatures, attestations, backups) is passed over.
    """
    _check_version(intake)
    found: list[LayoutImage] = []
    other: Unsupported | None = None
    for root in _roots(Index.parse(intake.document("index.json")).manifests):
        try:
            manifest = _manifest(intake, root)
        except Unsupported as error:
            other = other or error
        else:
            found.append(LayoutImage(manifest, _names(root.annotations)))
    if other is not None and not found:
        raise other
    return found


def _check_version(intake: Intake) -> None:
    if intake.has("oci-layout"):
        document = parse(intake.document("oci-layout"), "oci-layout")
        version = text(document.get("imageLayoutVersion"), "oci-layout", "imageLayoutVersion")
        if version != VERSION:
            raise Unsupported(f"unsupported version of OCI layout: {version[:40]!r}")


def _roots(rows: Iterable[_Row]) -> list[Descriptor]:
    """Where the layout's images begin.

    Of several under one name for several platforms, those that run here.
    """
    groups: dict[str, list[_Row]] = {}
    for descriptor, platform in rows:
        notes = descriptor.annotations
        name = notes.get(IMAGE_NAME) or notes.get(REF_NAME) or ""
        groups.setdefault(name, []).append((descriptor, platform))
    return [root for group in groups.values() for root in _fitting(group)]


def _fitting(group: Sequence[_Row]) -> list[Descriptor]:
    here = Platform.of_host()
    fits = [root for root, platform in group if platform is None or here.accepts(platform)]
    platforms = {platform for _, platform in group}
    if not fits and len(platforms) > 1:
        raise transfer.NoSuchPlatform(here)
    return fits or [root for root, _ in group]  # only one platform: it was meant


def _manifest(intake: Intake, root: Descriptor) -> Manifest:
    """The manifest for this host; Unsupported where it is not that of an image."""
    chosen = transfer.select(intake, root, Platform.of_host())
    if chosen.media_type not in mediatypes.MANIFESTS:
        raise validate.NotAnImage(chosen.media_type)
    manifest = Manifest.parse(transfer.read(intake, chosen))
    if manifest.media_type != chosen.media_type:
        raise MediaTypesDiffer(chosen, manifest.media_type)
    validate.check_manifest(manifest)
    for layer in manifest.layers:
        if not mediatypes.is_layer(layer.media_type):
            raise NotALayer(layer)
    return manifest


def _names(annotations: Mapping[str, str]) -> tuple[Reference, ...]:
    """The name in a descriptor's annotations; Invalid for one that must not be given.

    Docker and containerd write two, of which the second is the tag alone; others only the
    second, and it may be anything.
    """
    name, word = annotations.get(IMAGE_NAME, ""), annotations.get(REF_NAME, "")
    if name:
        return () if "@" in name else (tag(name),)
    if not word or _TAG_ALONE.fullmatch(word):
        return ()
    try:
        return (tag(word),)
    except Invalid:
        return ()
