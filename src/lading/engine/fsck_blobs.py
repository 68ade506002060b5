"""Whether blobs, and the layers made of them, are what they were when they were kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from lading.engine.fsck_images import Known
from lading.engine.fsck_values import Fault, Finding, Gravity
from lading.errors import LadingError
from lading.image.library import Library
from lading.oci.digest import Digest
from lading.snapshot.protocol import MISSING, KeepsTars
from lading.store.blobs import BlobNotFound

Advance = Callable[[int], None]  # told how many bytes more are done


def blobs(library: Library, known: Known, *, read_data: bool, advance: Advance) -> Iterator[Fault]:
    """Sizes of all blobs, and the bytes of documents; with *read_data* every byte of all."""
    for digest in sorted(library.blobs.all(), key=str):
        with suppress(BlobNotFound):  # freed since
            size = library.blobs.size(digest)
            thoroughly = read_data or digest in known.documents
            problem = _damage(library, digest, known.sizes, thoroughly=thoroughly)
            if problem and library.blobs.has(digest):
                remedy = f"load or pull {known.called(digest)} again"
                found = Finding("blob", str(digest), problem, remedy)
                yield Fault(found, partial(_replace, library, digest))
            advance(size)


def _damage(
    library: Library, digest: Digest, sizes: Mapping[Digest, int], *, thoroughly: bool
) -> str:
    size = library.blobs.size(digest)
    if sizes.get(digest, size) != size:
        return f"it has {size} bytes, and should have {sizes[digest]}"
    if thoroughly and not library.blobs.is_whole(digest):
        return "it does not have its digest"
    return ""


def _replace(library: Library, digest: Digest) -> str:
    """Put the bad blob aside, and take the layer's tar in its place where that is the blob."""
    library.blobs.quarantine(digest)
    snapshotter = library.snapshotter
    if not isinstance(snapshotter, KeepsTars) or snapshotter.damage(digest, thoroughly=True):
        return "put aside"
    tar = snapshotter.tar(digest)
    if tar is None:
        return "put aside"
    library.blobs.link(tar, digest)
    return "replaced by the layer's tar"


def layers(library: Library, known: Known, *, read_data: bool, advance: Advance) -> Iterator[Fault]:
    """Sizes and indexes of the layers that are needed; with *read_data* every byte."""
    for diff_id in sorted(known.layers, key=str):
        problem = library.snapshotter.damage(diff_id, thoroughly=read_data)
        if problem:
            yield _layer_fault(library, known, diff_id, problem)
        advance(library.layers.expanded_size(diff_id))


def _layer_fault(library: Library, known: Known, diff_id: Digest, problem: str) -> Fault:
    mend = partial(_mend_layer, library, diff_id)
    if problem == MISSING and library.layers.holding(diff_id) is not None:
        # After the default driver has changed, or a layer has been removed by hand.
        remedy = "none is needed: it is made from its blob when it is used"
        return Fault(Finding("layer", str(diff_id), problem, remedy, Gravity.NOTE), mend)
    remedy = f"load or pull {known.called(diff_id)} again"
    return Fault(Finding("layer", str(diff_id), problem, remedy), mend)


def _mend_layer(library: Library, diff_id: Digest) -> str:
    if library.snapshotter.mend(diff_id):
        return "its index is made anew from its tar"
    layer = library.layers.holding(diff_id)
    # What is left of the layer is replaced only by what is known to be good.
    if layer is None or not library.blobs.is_whole(layer.blob.digest):
        return ""
    try:
        library.layers.rebuild(layer)
    except (LadingError, OSError):
        return ""
    whole = not library.snapshotter.damage(diff_id, thoroughly=True)
    return "it is made anew from its blob" if whole else ""
