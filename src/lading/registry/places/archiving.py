"""Write one image from any source as an archive that Docker and OCI tools read."""

from __future__ import annotations

from lading.image import transfer
from lading.image.image import Image
from lading.image.saving import ArchiveTarget, Chosen
from lading.image.streams import Sink
from lading.image.transfer import Source
from lading.oci.config import ImageConfig
from lading.oci.descriptor import Descriptor
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference


def write(source: Source, root: Descriptor, names: tuple[Reference, ...], out: Sink) -> None:
    """The image that *root*, a manifest, describes; what `transfer.copy` raises."""
    target = ArchiveTarget(out)
    transfer.copy(source, target, root)
    manifest = Manifest.parse(transfer.read(source, root))
    config = ImageConfig.parse(transfer.read(source, manifest.config))
    target.finish([Chosen(Image(manifest, config, ()), names)])
