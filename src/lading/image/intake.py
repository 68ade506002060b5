"""The members of an image archive, kept as they stream by.

An archive may bring its layers before the document that names them, and may come through
a pipe: so layers are ingested on the way, held by one lease, and small members stay in
memory.  A member that cannot be kept matters only when a document names it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

from lading.errors import Invalid
from lading.image.layers import Layer
from lading.image.library import Library
from lading.image.progress import Listener, Progress
from lading.image.streams import Prefixed, ReadAhead, buffered, drain
from lading.layer.compression import decompress, detect
from lading.layer.entry import Entry, InvalidTar, Type, UnsafeName, components
from lading.layer.headers import BLOCK, decode
from lading.layer.read import entries
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest, InvalidDigest
from lading.oci.documents import MOST_BYTES, InvalidDocument
from lading.store.blobs import UnexpectedContent
from lading.store.leases import Lease

Parts = tuple[bytes, ...]

_HEAD = 6  # bytes that tell the compressions apart
_SMALL = 64 * 1024  # cheaper to keep in memory than to try as a layer, whatever it is
_MOST_MEMORY = 32 * 1024 * 1024  # of small members and documents, together
_MOST_MEMBERS = 100_000
_MOST_LAYERS = 4096  # tried on the way
_MOST_LINKS = 40  # followed for one name, as the kernel does
_ALGORITHMS = (b"sha256", b"sha512")
_LABEL = re.compile(r"[0-9a-f]{12}(?=[0-9a-f]{52})")
_STEP = 1024 * 1024  # bytes between two reports of progress


class MissingMember(Invalid):
    """Raised where a document names a member that the archive does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the archive has no {name[:200]!r}")


def receive(library: Library, stream: BinaryIO, lease: Lease, on_progress: Listener) -> Intake:
    """Read a whole archive, compressed or not, from *stream*; InvalidTar, InvalidCompression.

    *lease* holds what came.
    """
    intake = Intake(library, lease, on_progress)
    head = _exactly(stream, _HEAD)
    with ExitStack() as stack:
        source = buffered(Prefixed(head, stream))
        if detect(head) != "none":
            source = buffered(stack.enter_context(ReadAhead(decompress(source))))
        for entry, body in entries(source):
            intake.add(entry, body)
        drain(source)  # a client is not answered in the middle of its request
    return intake


class Intake:
    """What came in with an archive, by name."""

    def __init__(self, library: Library, lease: Lease, on_progress: Listener) -> None:
        self._library, self._lease, self._on_progress = library, lease, on_progress
        self._members = self._tried = self._memory = 0
        self._documents: dict[Parts, bytes] = {}  # and whatever else is small
        self._layers: dict[Parts, Layer] = {}
        self._links: dict[Parts, Parts] = {}
        self._refused: dict[Parts, Invalid] = {}  # and why

    def add(self, entry: Entry, body: io.RawIOBase) -> None:
        """Take one member; UnsafeName, InvalidTar where there are too many."""
        name = entry.parts
        self._members += 1
        if self._members > _MOST_MEMBERS or self._tried > _MOST_LAYERS:
            raise InvalidTar("an image archive does not have so many members")
        self._forget(name)
        try:
            self._take(name, entry, body)
        except Invalid as error:
            self._refused[name] = error

    def has(self, name: str) -> bool:
        """Whether there is such a member, links followed."""
        try:
            self._find(name)
        except MissingMember:
            return False
        except Invalid:
            return True  # and whoever asks for it is told what is wrong
        return True

    def folders(self, document: str) -> Iterator[str]:
        """The folders at the top that hold a *document* of that name."""
        for name in (*self._documents, *self._links):
            if len(name) == 2 and name[1] == document.encode():
                yield name[0].decode(errors="replace")

    def document(self, name: str) -> bytes:
        """A small member's content; MissingMember, InvalidDocument, UnexpectedContent."""
        found = self._find(name)
        if found not in self._documents:
            raise InvalidDocument(name[:80], "it is a layer")
        return self._documents[found]

    def layer(self, name: str) -> Layer:
        """The layer in a member; MissingMember, InvalidTar, InvalidCompression."""
        found = self._find(name)
        if found not in self._layers:
            content = io.BytesIO(self._documents[found])
            self._layers[found] = self._ingest(found, content, len(self._documents[found]))
        return self._layers[found]

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A blob of an OCI layout (image-layout.md#blobs): this is a `Source`."""
        digest = descriptor.digest
        found = self._find(f"blobs/{digest.algorithm}/{digest.hex}")
        if found in self._layers:
            return self._library.blobs.open(self._layers[found].blob.digest)
        return io.BytesIO(self._documents[found])

    def _take(self, name: Parts, entry: Entry, body: io.RawIOBase) -> None:
        if entry.type is Type.SYMLINK:
            self._links[name] = _beside(name, entry.target)
        elif entry.type is Type.HARDLINK:
            self._links[name] = components(entry.target)
        elif entry.segments is not None:
            raise InvalidTar(f"a sparse member in an image archive: {_shown(name)!r}")
        elif entry.type is Type.FILE:
            self._take_file(name, entry.size, body)

    def _take_file(self, name: Parts, size: int, body: io.RawIOBase) -> None:
        digest = _named_digest(name)
        known = self._library.layers.verified(digest, self._lease) if digest else None
        if known is not None and known.blob.size == size:
            self._on_progress(Progress(_label(name), "Already exists"))
            self._layers[name] = known  # the member would be the same bytes
            return
        fits = self._memory + size <= _MOST_MEMORY
        if fits and size <= _SMALL:
            self._keep(name, digest, body.read())
            return
        head = _exactly(body, BLOCK)
        whole = _Watched(head, body, size, _label(name), self._on_progress)
        if detect(head) != "none" or _begins_a_tar(head):
            self._tried += 1
            self._layers[name] = self._ingest(name, cast(BinaryIO, whole), size)
        elif fits and size <= MOST_BYTES:
            self._keep(name, digest, whole.read())
        else:
            raise InvalidDocument(_shown(name), f"{size} bytes, and no layer")

    def _keep(self, name: Parts, digest: Digest | None, content: bytes) -> None:
        if digest is not None:
            hashed = hashlib.new(digest.algorithm, content).hexdigest()
            if hashed != digest.hex:
                raise UnexpectedContent(digest, Digest(f"{digest.algorithm}:{hashed}"))
        self._documents[name] = content
        self._memory += len(content)

    def _ingest(self, name: Parts, stream: BinaryIO, size: int) -> Layer:
        digest = _named_digest(name)
        expected = Descriptor("", digest, size) if digest else None
        return self._library.layers.ingest(stream, self._lease, expected=expected)

    def _forget(self, name: Parts) -> None:
        """Of several members of one name the last one counts."""
        self._memory -= len(self._documents.pop(name, b""))
        self._layers.pop(name, None)
        self._links.pop(name, None)
        self._refused.pop(name, None)

    def _find(self, text: str) -> Parts:
        """Where the member of that name is, links followed; MissingMember, or why it is not."""
        name = components(text.encode())
        for _ in range(_MOST_LINKS):
            if name in self._refused:
                raise self._refused[name]
            if name in self._documents or name in self._layers:
                return name
            if name not in self._links:
                raise MissingMember(text)
            name = self._links[name]
        raise InvalidTar(f"too many links to {text[:200]!r}")


class _Watched(io.RawIOBase):
    """A member, its head put back, whose reading is reported."""

    def __init__(
        self, head: bytes, body: io.RawIOBase, size: int, label: str, on_progress: Listener
    ) -> None:
        self._head, self._body, self._size = head, body, size
        self._label, self._on_progress = label, on_progress
        self._passed = self._reported = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, all that are left for -1."""
        if size < 0:
            return self.readall()
        piece = self._head[:size] or self._body.read(size) or b""
        self._head = self._head[len(piece) :] if self._head else b""
        self._passed += len(piece)
        if self._passed - self._reported >= _STEP or (piece and self._passed == self._size):
            self._reported = self._passed
            told = Progress(self._label, "Loading layer", self._passed, self._size)
            self._on_progress(told)
        return piece

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


def _begins_a_tar(head: bytes) -> bool:
    """Whether *head* is a tar's header of any age: its checksum tells."""
    conversation = decode()
    next(conversation)
    try:
        conversation.send(head)
    except (InvalidTar, StopIteration):
        return False
    return True


def _exactly(stream: BinaryIO | io.RawIOBase, size: int) -> bytes:
    """*size* bytes, fewer only where *stream* ends."""
    content = b""
    while len(content) < size and (piece := stream.read(size - len(content))):
        content += piece
    return content


def _named_digest(name: Parts) -> Digest | None:
    """The digest that ``blobs/ALGORITHM/HEX`` says (image-layout.md#blobs)."""
    if len(name) != 3 or name[0] != b"blobs" or name[1] not in _ALGORITHMS:
        return None
    try:
        return Digest.parse(b":".join(name[1:]).decode(errors="replace"))
    except InvalidDigest:
        return None


def _beside(name: Parts, target: bytes) -> Parts:
    """Where a symbolic link leads, inside the archive; UnsafeName."""
    found = [] if target.startswith(b"/") else list(name[:-1])
    for part in target.split(b"/"):
        if part == b".." and not found:
            raise UnsafeName(target, "link leads out of the archive")
        if part == b"..":
            found.pop()
        elif part not in (b"", b"."):
            found.append(part)
    return tuple(found)


def _shown(name: Parts) -> str:
    return b"/".join(name)[:200].decode(errors="backslashreplace")


def _label(name: Parts) -> str:
    """What a layer is called while it is read: the beginning of its digest or old ID."""
    found = _LABEL.search(_shown(name))
    return found[0] if found else _shown(name)[-40:]
