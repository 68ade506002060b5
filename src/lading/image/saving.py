"""Write images as one archive that Docker, Podman, skopeo and every reader of OCI layouts takes.

Blobs are written as they are kept, each once, children first; then index.json with the
manifests and manifest.json with Docker's view of the same blobs.  The same images under
the same names give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from lading.errors import Invalid
from lading.image import transfer
from lading.image.errors import DamagedImage
from lading.image.image import Image
from lading.image.library import Library
from lading.image.oci_layout import IMAGE_NAME, REF_NAME, VERSION
from lading.image.streams import ReadAhead, Sink, buffered, pour
from lading.layer import write
from lading.layer.entry import NO_XATTRS, Entry, Type
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import encode
from lading.oci.reference import Reference
from lading.store.leases import Lease

_RECORD = 20 * write.BLOCK  # tar fills its last one
_LARGE = 1024 * 1024
_PIECE = 256 * 1024  # what the way out sends without gathering it


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image to save, and under which names."""

    image: Image
    names: tuple[Reference, ...]


def save(library: Library, names: Sequence[str], out: BinaryIO) -> None:
    """Write the images that *names* mean to *out*; nothing is written where one is not here.

    A name without a tag means all tags of that repository, an ID the image without names.
    ImageNotFound, AmbiguousImage, InvalidReference, DamagedImage.
    """
    with library.lease() as lease:
        chosen = choose(library, names)
        for each in chosen:
            check(library, each.image, lease)
        target = ArchiveTarget(out)
        for each in chosen:
            transfer.copy(LibrarySource(library), target, each.image.manifest.descriptor)
        target.finish(chosen)
    for each in chosen:
        image = str(each.image.id)
        name = each.names[0].familiar if each.names else image
        library.bus.publish("image", "save", image, {"name": name})


def choose(library: Library, names: Iterable[str]) -> list[Chosen]:
    """Each image that *names* mean once, with the names it is to have."""
    found: dict[Digest, dict[Reference, None]] = {}
    for text in names:
        for image, references in _meant(library, text):
            found.setdefault(image, {}).update(dict.fromkeys(references))
    return [Chosen(library.image(image), tuple(names)) for image, names in found.items()]


def _meant(library: Library, text: str) -> Sequence[tuple[Digest, tuple[Reference, ...]]]:
    """What one word means, as ``docker save`` reads it."""
    asked = _parsed(text)
    if asked is not None and asked.tag and ":" not in text.rpartition("/")[2]:
        every = sorted(library.catalogue.names().items())
        tags = [(image, name) for image, names in every for name in names if name.tag]
        tagged = [(image, (name,)) for image, name in tags if name.repository == asked.repository]
        if tagged:
            return tagged
    image = library.resolve(text).id
    is_its_tag = asked is not None and asked.tag and asked in library.names(image)
    return [(image, (asked,) if asked is not None and is_its_tag else ())]


def _parsed(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except Invalid:
        return None


def check(library: Library, image: Image, lease: Lease) -> None:
    """See that all blobs are here and stay as long as *lease*; DamagedImage."""
    manifest = image.manifest
    for blob in (manifest.descriptor, manifest.config, *manifest.layers):
        if not library.holds(blob.digest, lease):
            raise DamagedImage(image.id, f"blob {blob.digest} is missing")
        if library.blobs.size(blob.digest) != blob.size:
            raise DamagedImage(image.id, f"blob {blob.digest} has another size")


class LibrarySource:
    """The library as a `Source`: every blob is verified while it is read."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self._library.blobs.open(descriptor.digest)


class ArchiveTarget:
    """An OCI layout in a tar, as a `Target`; `finish` makes it complete."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._written: set[Digest] = set()
        self._folders: set[str] = set()
        self._size = 0

    def has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._written

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        digest = descriptor.digest
        self._folder("blobs/")
        self._folder(f"blobs/{digest.algorithm}/")
        self._write(write.header(_entry(_path(digest), descriptor.size)))
        with ExitStack() as stack:
            if descriptor.size > _LARGE:  # hashing and sending go on side by side
                stream = buffered(stack.enter_context(ReadAhead(stream)))
            self._size += pour(stream, self._out, piece_size=_PIECE)
        self._write(write.padding(descriptor.size))
        self._written.add(digest)

    def finish(self, chosen: Sequence[Chosen]) -> None:
        """Write the documents that name what is here, and the end."""
        self._document("index.json", encode(_index(chosen)))
        self._document("manifest.json", json.dumps(_docker_rows(chosen)).encode())
        self._document("oci-layout", encode({"imageLayoutVersion": VERSION}))
        self._write(write.END)
        self._write(bytes(-self._size % _RECORD))

    def _folder(self, name: str) -> None:
        if name not in self._folders:
            self._folders.add(name)
            self._write(write.header(_entry(name, 0)))

    def _document(self, name: str, content: bytes) -> None:
        header = write.header(_entry(name, len(content)))
        self._write(header + content + write.padding(len(content)))

    def _write(self, piece: bytes) -> None:
        self._out.write(piece)
        self._size += len(piece)


def _entry(name: str, size: int) -> Entry:
    is_folder = name.endswith("/")
    kind, mode = (Type.DIRECTORY, 0o755) if is_folder else (Type.FILE, 0o644)
    return Entry(name.encode(), kind, mode, 0, 0, 0, 0, size, b"", 0, 0, NO_XATTRS, size, 0)


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _index(chosen: Iterable[Chosen]) -> dict[str, Any]:
    """index.json, with one row for each name, as Docker writes it."""
    rows = [
        replace(each.image.manifest.descriptor, annotations=notes).document()
        for each in chosen
        for notes in [_annotations(name) for name in each.names] or [{}]
    ]
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": rows}


def _annotations(name: Reference) -> dict[str, str]:
    return {IMAGE_NAME: str(name), REF_NAME: name.tag}


def _docker_rows(chosen: Iterable[Chosen]) -> list[dict[str, Any]]:
    """manifest.json: the same blobs in Docker's words."""
    return [
        {
            "Config": _path(each.image.id),
            "RepoTags": [name.familiar for name in each.names] or None,
            "Layers": [_path(layer.digest) for layer in each.image.manifest.layers],
        }
        for each in chosen
    ]
