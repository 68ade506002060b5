"""The members of an image archive, kept as they stream by.

An archive may bring its layers before the document that names them, and may come through
a pipe: so layers are ingested on the way, small documents stay in memory, and whatever
else there is becomes a blob, all held by one lease.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from lading.errors import Invalid
from lading.image.layers import Layer
from lading.image.library import Library
from lading.image.progress import Listener, Progress
from lading.image.streams import Prefixed, buffered, drain, pour
from lading.layer.compression import detect
from lading.layer.entry import Entry, InvalidTar, Type, components
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, InvalidDocument
from lading.store.blobs import BlobNotFound
from lading.store.leases import Lease

Parts = tuple[bytes, ...]

_HEAD = 512
_MAGIC = slice(257, 262)
_MOST_MEMORY = 64 * 1024 * 1024  # of documents, together
_MOST_MEMBERS = 100_000
_MOST_LINKS = 40  # followed for one name, as the kernel does
_HEX = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{128}")
_ALGORITHMS = (b"sha256", b"sha512")
_STEP = 1024 * 1024  # bytes between two reports of progress


class MissingMember(Invalid):
    """Raised where a document names a member that the archive does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the archive has no {name[:200]!r}")


class Intake:
    """What came in with an archive, by name."""

    def __init__(self, library: Library, lease: Lease, on_progress: Listener) -> None:
        self._library, self._lease, self._on_progress = library, lease, on_progress
        self._documents: dict[Parts, bytes] = {}
        self._memory = 0
        self._layers: dict[Parts, Layer] = {}
        self._blobs: dict[Parts, Digest] = {}  # neither layers nor small
        self._links: dict[Parts, Parts] = {}

    def add(self, entry: Entry, body: BinaryIO) -> None:
        """Take one member; InvalidTar, InvalidCompression, UnexpectedContent."""
        name = entry.parts
        if len(self._documents) + len(self._links) > _MOST_MEMBERS:
            raise InvalidTar(f"more than {_MOST_MEMBERS} members in an image archive")
        self._forget(name)
        if entry.type is Type.FILE:
            self._add_file(name, entry, body)
        elif entry.type is Type.SYMLINK:
            self._links[name] = _beside(name, entry.target)
        elif entry.type is Type.HARDLINK:
            self._links[name] = components(entry.target)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, links followed."""
        try:
            found = self._follow(_parts(name))
        except Invalid:
            return False
        return found in self._documents or found in self._layers or found in self._blobs

    def document(self, name: str) -> bytes:
        """A small file's content; MissingMember, InvalidDocument when it is not small."""
        found = self._follow(_parts(name))
        if found in self._documents:
            return self._documents[found]
        if found in self._layers or found in self._blobs:
            raise InvalidDocument(name[:80], "it is not a document of reasonable size")
        raise MissingMember(name)

    def layer(self, name: str) -> Layer:
        """The layer in a file; MissingMember, InvalidTar."""
        found = self._follow(_parts(name))
        if found not in self._layers:
            with self._open(found, name) as stream:
                self._layers[found] = self._library.layers.ingest(stream, self._lease)
        return self._layers[found]

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A blob of an OCI layout (image-layout.md): this is a `Source`."""
        name = f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"
        found = self._follow(_parts(name))
        if found in self._layers:
            return self._library.blobs.open(self._layers[found].blob.digest)
        return self._open(found, name)

    def _open(self, found: Parts, name: str) -> BinaryIO:
        if found in self._documents:
            return io.BytesIO(self._documents[found])
        if found in self._blobs:
            try:
                return self._library.blobs.open(self._blobs[found])
            except BlobNotFound:
                pass
        raise MissingMember(name)

    def _add_file(self, name: Parts, entry: Entry, body: BinaryIO) -> None:
        if entry.segments is not None:
            raise InvalidTar(f"sparse member in an image archive: {entry.name[:200]!r}")
        digest = _named_digest(name)
        known = self._library.layers.find(digest, self._lease) if digest else None
        if known is not None and known.blob.size == entry.size:
            self._layers[name] = known
            drain(body)  # it would be the same bytes
            return
        body = _Watched(body, digest.short if digest else _shown(name), entry.size, self._on_progress)
        head = _exactly(body, _HEAD)
        whole = buffered(Prefixed(head, body))
        if detect(head) != "none" or head[_MAGIC] == b"ustar":
            expected = Descriptor("", digest, entry.size) if digest else None
            self._layers[name] = self._library.layers.ingest(whole, self._lease, expected=expected)
        elif entry.size <= MOST_BYTES and self._memory + entry.size <= _MOST_MEMORY:
            self._documents[name] = whole.read()
            self._memory += entry.size
        else:
            self._blobs[name] = self._keep(whole)

    def _keep(self, stream: BinaryIO) -> Digest:
        with self._library.blobs.write() as writer:
            pour(stream, writer)
            self._library.hold(writer.digest, self._lease)
            return writer.commit()

    def _forget(self, name: Parts) -> None:
        """Of several members of one name the last one counts."""
        self._memory -= len(self._documents.pop(name, b""))
        for members in (self._layers, self._blobs, self._links):
            members.pop(name, None)

    def _follow(self, name: Parts) -> Parts:
        for _ in range(_MOST_LINKS):
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidTar(f"too many links to {_shown(name)!r}")


class _Watched(io.RawIOBase):
    """A member whose reading is reported."""
