"""Layers on their way into this host: kept as the blob they came as, and made mountable.

A layer is durable in both forms before it has a record, and has a record before any
image names it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from lading.image.records import LayerRecord
from lading.image.streams import Prefixed, ReadAhead, Recorded, buffered, drain
from lading.image.validate import check_length
from lading.layer.compression import compressor, decompress, detect
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.snapshot.protocol import KeepsTars, LayerNotFound, Snapshotter
from lading.store.blobs import BlobNotFound, BlobStore, BlobWriter, UnexpectedContent
from lading.store.leases import Lease
from lading.store.records import Records

_HEAD = 6  # bytes that tell the compressions apart
_PIECE = 256 * 1024
_NAMED = ("none", "gzip", "zstd")  # a media type exists for these alone


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is here: its diff ID, the blob that holds it, its tar's size in bytes."""

    diff_id: Digest
    blob: Descriptor
    size: int


class Layers:
    """The layers of this host, as blobs and in the snapshotter."""

    def __init__(
        self,
        blobs: BlobStore,
        snapshotter: Snapshotter,
        records: Records[LayerRecord],
        guard: threading.RLock,
    ) -> None:
        """*guard* is held by whoever removes things, and here while a lease takes hold."""
        self._blobs, self._snapshotter, self._records = blobs, snapshotter, records
        self._guard = guard
        self._arriving = 0

    @property
    def arriving(self) -> bool:
        """Whether some layer comes in right now whose diff ID no lease can hold yet."""
        return self._arriving > 0

    def find(self, blob: Digest, lease: Lease | None = None) -> Layer | None:
        """The layer that *blob* holds, where blob and snapshot are both here; *lease* holds it."""
        with self._guard:
            layer = self.known(blob)
            if layer is None or self._snapshotter.damage(layer.diff_id):
                return None
            if lease is not None:
                lease.hold(blob, layer.diff_id)
            return layer

    def verified(self, blob: Digest, lease: Lease) -> Layer | None:
        """The same once every byte of both was read: what is damaged is to come again."""
        layer = self.find(blob, lease)
        if layer is None or self._snapshotter.damage(layer.diff_id, thoroughly=True):
            return None
        return layer if self.is_tar(layer) or self._blobs.is_whole(blob) else None

    def is_tar(self, layer: Layer) -> bool:
        """Whether the blob is the very file that the snapshotter keeps."""
        if not isinstance(self._snapshotter, KeepsTars):
            return False
        tar = self._snapshotter.tar(layer.diff_id)
        return tar is not None and tar.samefile(self._blobs.path(layer.blob.digest))

    def known(self, blob: Digest) -> Layer | None:
        """What was recorded of the layer in *blob*, if the blob is here, mountable or not."""
        record = self._records.get(str(blob))
        if record is None or not self._blobs.has(blob):
            return None
        descriptor = Descriptor(record.media_type, blob, self._blobs.size(blob))
        return Layer(Digest(record.diff_id), descriptor, record.size)

    def size(self, blob: Digest) -> int:
        """Bytes of the uncompressed tar in *blob*, as recorded; 0 where nothing is."""
        record = self._records.get(str(blob))
        return 0 if record is None else record.size

    def expanded_size(self, diff_id: Digest) -> int:
        """Bytes of the uncompressed tar of the layer *diff_id*; 0 where nothing is known."""
        rows = self._records.all().values()
        return next((row.size for row in rows if row.diff_id == str(diff_id)), 0)

    def holding(self, diff_id: Digest) -> Layer | None:
        """The layer *diff_id* in some blob that is here."""
        rows = self._records.all().items()
        blobs = [Digest(blob) for blob, row in rows if row.diff_id == str(diff_id)]
        return next(filter(None, map(self.known, [diff_id, *blobs])), None)

    def recorded(self) -> list[Digest]:
        """Every blob that is recorded as a layer."""
        return [Digest(key) for key in self._records.all()]

    def ingest(
        self, stream: BinaryIO, lease: Lease, *, expected: Descriptor | None = None
    ) -> Layer:
        """Keep the layer that *stream* holds, compressed or not, in one pass; *lease* holds it.

        Raises InvalidTar, InvalidCompression, and where it is not the blob *expected*
        UnexpectedContent or WrongSize; what the lease holds then may be collected.
        """
        head = stream.read(_HEAD)
        kind = detect(head)
        with ExitStack() as stack:
            stack.enter_context(self._arrival())
            source = stack.enter_context(ReadAhead(cast(BinaryIO, Prefixed(head, stream))))
            if expected is None and kind not in _NAMED:
                source = stack.enter_context(ReadAhead(decompress(buffered(source))))
                kind = "none"
            keep = self._keep_linked if self._can_link(kind, expected) else self._keep_received
            layer = keep(source, lease, expected)
        record = LayerRecord(str(layer.diff_id), layer.size, layer.blob.media_type)
        self._records.put(str(layer.blob.digest), record)
        return layer

    def open(self, blob: Digest) -> BinaryIO:
        """The uncompressed tar of the layer in *blob*, which is verified when its end is read."""
        return decompress(self._blobs.open(blob))

    def pack(self, blob: Digest, lease: Lease) -> Layer:
        """The layer in *blob* as a gzip blob, made where there is none; *lease* holds it.

        BlobNotFound, DamagedBlob.
        """
        layer = self.find(blob, lease)
        if layer is None:
            raise BlobNotFound(blob)
        packed = self._packed(layer.diff_id, lease)
        if packed is not None:
            return packed
        with self._arrival(), self._blobs.write() as writer, self.open(blob) as tar:
            squeeze = compressor("gzip")
            while piece := tar.read(_PIECE):
                writer.write(squeeze.compress(piece))
            writer.write(squeeze.flush())
            descriptor = Descriptor(mediatypes.layer("gzip"), writer.digest, writer.size)
            self._hold(lease, descriptor.digest)
            writer.commit()
        record = LayerRecord(str(layer.diff_id), layer.size, descriptor.media_type)
        self._records.put(str(descriptor.digest), record)
        return Layer(layer.diff_id, descriptor, layer.size)

    def _packed(self, diff_id: Digest, lease: Lease) -> Layer | None:
        rows = self._records.all().items()
        gzip = mediatypes.layer("gzip")
        blobs = [b for b, r in rows if r.diff_id == str(diff_id) and r.media_type == gzip]
        return next(filter(None, (self.find(Digest(blob), lease) for blob in blobs)), None)

    def make_mountable(self, blob: Digest, diff_id: Digest) -> None:
        """See to it that the snapshotter has the layer, from its blob if need be.

        LayerNotFound where the blob is gone too, DamagedBlob or Corrupt where it is bad.
        """
        if not self._snapshotter.damage(diff_id):
            return
        try:
            with self._blobs.open(blob) as stream:
                self._snapshotter.add(diff_id, decompress(stream))
        except BlobNotFound:
            raise LayerNotFound(diff_id) from None

    def rebuild(self, layer: Layer) -> None:
        """Make the layer anew from its blob, whatever the snapshotter has of it.

        LayerNotFound where the blob is gone, DamagedBlob or Invalid where it is bad.
        """
        try:
            with self._blobs.open(layer.blob.digest) as stream:
                self._snapshotter.add(None, decompress(stream))
        except BlobNotFound:
            raise LayerNotFound(layer.diff_id) from None

    def forget(self, blob: Digest) -> None:
        """Remove *blob*, and its record if it is a layer's."""
        self._records.delete(str(blob))
        self._blobs.remove(blob)

    @contextmanager
    def _arrival(self) -> Iterator[None]:
        with self._guard:
            self._arriving += 1
        try:
            yield
        finally:
            with self._guard:
                self._arriving -= 1

    def _hold(self, lease: Lease, digest: Digest) -> None:
        with self._guard:  # either the collector sees it, or it has ended
            lease.hold(digest)

    def _can_link(self, kind: str, expected: Descriptor | None) -> bool:
        is_sha256 = expected is None or expected.digest.algorithm == "sha256"
        return kind == "none" and is_sha256 and isinstance(self._snapshotter, KeepsTars)

    def _keep_received(self, source: ReadAhead, lease: Lease, expected: Descriptor | None) -> Layer:
        """The blob is what came in; hashing and writing it goes on beside the unpacking."""
        with self._blobs.write() as writer:
            received = Recorded(buffered(source), writer)
            stream = buffered(received)
            kind = detect(stream.peek(_HEAD))  # type: ignore[attr-defined]  # a BufferedReader
            with ReadAhead(decompress(stream)) as tar:
                whole = cast(BinaryIO, tar)
                diff_id = self._snapshotter.add(None, whole)
                self._hold(lease, diff_id)
                drain(whole)
            drain(stream)
            descriptor = _descriptor(expected, kind, writer)
            check_length(descriptor, writer.size)
            self._hold(lease, descriptor.digest)
            writer.commit(descriptor.digest)
        return Layer(diff_id, descriptor, tar.passed)

    def _keep_linked(self, source: ReadAhead, lease: Lease, expected: Descriptor | None) -> Layer:
        """The blob is the very file that the snapshotter keeps."""
        assert isinstance(self._snapshotter, KeepsTars)
        diff_id = self._snapshotter.add(None, cast(BinaryIO, source))
        self._hold(lease, diff_id)
        if expected is not None and expected.digest != diff_id:
            raise UnexpectedContent(expected.digest, diff_id)
        tar = self._snapshotter.tar(diff_id)
        if tar is None:
            raise LayerNotFound(diff_id)
        self._blobs.link(tar, diff_id)
        size = source.passed
        if expected is not None:
            check_length(expected, size)
        return Layer(diff_id, Descriptor(mediatypes.layer("none"), diff_id, size), size)


def _descriptor(expected: Descriptor | None, kind: str, writer: BlobWriter) -> Descriptor:
    if expected is None:
        return Descriptor(mediatypes.layer(kind), writer.digest, writer.size)
    return replace(expected, media_type=expected.media_type or mediatypes.layer(kind))
