"""An image whose layers are bare tars, made fit to travel: compressed once, and remembered so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lading.image.image import Image
from lading.image.layers import Layer
from lading.image.library import Library
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.store.leases import Lease

_ABREAST = 3


def repacked(library: Library, image: Image, lease: Lease) -> Image:
    """*image* with compressed layers, its config and ID unchanged; itself where it has them.

    The new manifest takes the old one's place in the library: what was sent once has the
    same digest when it is sent again.  DamagedImage.
    """
    bare = [blob.digest for blob in image.manifest.layers if _is_bare(blob)]
    if not bare:
        return image
    kept = library.kept(image, lease)
    with ThreadPoolExecutor(_ABREAST, thread_name_prefix="repack") as pool:
        packed = dict(
            zip(bare, pool.map(lambda each: _pack(library, each, lease), bare), strict=True)
        )
    layers = [packed.get(layer.blob.digest, layer) for layer in kept]
    blobs = [
        packed[blob.digest].blob if blob.digest in packed else blob
        for blob in image.manifest.layers
    ]
    config = Descriptor(mediatypes.OCI_CONFIG, image.id, image.manifest.config.size)
    manifest = Manifest.of(config, blobs)
    return library.add(image.config.raw, layers, lease, manifest=manifest)


def _pack(library: Library, blob: Digest, lease: Lease) -> Layer:
    return library.layers.pack(blob, lease)


def _is_bare(blob: Descriptor) -> bool:
    return blob.media_type in (mediatypes.OCI_LAYER, mediatypes.DOCKER_LAYER)
