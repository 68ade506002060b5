"""An image archive in a file, as a place that an image is carried from.

The archive stays where it is: members are found once and read in place.  It may be an OCI
layout, what ``docker save`` wrote of old, or both.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lading.errors import Invalid, NotFound
from lading.image.oci_layout import IMAGE_NAME, REF_NAME
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, InvalidDocument, array, encode, parse, parse_list, text
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference
from lading.store.blobs import BlobNotFound

_MOST_MEMBERS = 100_000
_MOST_LINKS = 40


class NotOneImage(NotFound):
    """Raised where an archive does not have the image, or several and none is named."""

    def __init__(self, name: str, found: list[str]) -> None:
        wanted = f"no image {name!r}" if name else "several images: name one of them"
        names = ", ".join(found[:10])
        super().__init__(f"the archive has {wanted}" + (f" (it has {names})" if names else ""))


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive in *path*, an uncompressed tar; Invalid."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield Archive(tar)
    except tarfile.TarError as error:
        raise Invalid(f"{path} is not an uncompressed tar: {error}") from None


class Archive:
    """The members of an archive by digest: a `Source`."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in tar:
            if len(self._members) >= _MOST_MEMBERS:
                raise Invalid("an image archive does not have so many members")
            self._members[member.name.removeprefix("./")] = member
        self._blobs: dict[Digest, Callable[[], BinaryIO]] = {}

    def find(self, name: str) -> Descriptor:
        """The image called *name*, the only one for no name; NotOneImage, InvalidDocument."""
        found = self._in_layout() if "index.json" in self._members else self._in_docker()
        wanted = str(Reference.parse(name)) if name else ""
        fits = {root.digest: root for called, root in found if not name or wanted in called}
        if len(fits) != 1:
            raise NotOneImage(name, [each for called, _ in found for each in called])
        return next(iter(fits.values()))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        digest = descriptor.digest
        if digest in self._blobs:
            return self._blobs[digest]()
        name = f"blobs/{digest.algorithm}/{digest.hex}"
        if name not in self._members:
            raise BlobNotFound(digest)
        return self._member(name)

    def _in_layout(self) -> list[tuple[list[str], Descriptor]]:
        rows = array(parse(self._document("index.json"), "index").get("manifests"), "index", "")
        found = [Descriptor.parse(row, "index.json") for row in rows]
        return [(_names(root.annotations), root) for root in found]

    def _in_docker(self) -> list[tuple[list[str], Descriptor]]:
        """Manifests made for what manifest.json tells of."""
        found = []
        for row in parse_list(self._document("manifest.json"), "manifest.json"):
            if not isinstance(row, dict):
                raise InvalidDocument("manifest.json", "an image is not an object")
            tags = [text(tag, "manifest.json", "a tag") for tag in row.get("RepoTags") or []]
            found.append(([str(Reference.parse(tag)) for tag in tags], self._manifest(row)))
        return found

    def _manifest(self, row: Mapping[str, Any]) -> Descriptor:
        config = self._blob(text(row.get("Config"), "manifest.json", "Config"))
        names = array(row.get("Layers"), "manifest.json", "Layers")
        layers = [self._blob(text(name, "manifest.json", "a layer")) for name in names]
        document = {
            "schemaVersion": 2,
            "mediaType": mediatypes.DOCKER_MANIFEST,
            "config": _described(config, mediatypes.DOCKER_CONFIG),
            "layers": [_described(each, _layer_type(self, each)) for each in layers],
        }
        raw = encode(document)
        manifest = Manifest.parse(raw)
        self._blobs[manifest.digest] = lambda: io.BytesIO(raw)
        return manifest.descriptor

    def _blob(self, name: str) -> Descriptor:
        with self._member(name) as stream:
            digest = Digest.of_stream(stream)
        self._blobs[digest] = lambda: self._member(name)
        return Descriptor("", digest, self._found(name).size)

    def _document(self, name: str) -> bytes:
        with self._member(name) as stream:
            return stream.read(MOST_BYTES + 1)

    def _member(self, name: str) -> BinaryIO:
        """A member's bytes, through a file of its own: several are read at once."""
        member = self._found(name)
        window = _Window(Path(str(self._tar.name)), member.offset_data, member.size)
        return cast(BinaryIO, io.BufferedReader(window, 256 * 1024))

    def _found(self, name: str) -> tarfile.TarInfo:
        for _ in range(_MOST_LINKS):
            member = self._members.get(name)
            if member is None:
                raise NotFound(f"the archive has no {name[:200]!r}")
            if member.isreg() and not member.issparse():
                return member
            if not (member.issym() or member.islnk()):
                break
            base = name.rpartition("/")[0] if member.issym() else ""
            name = _joined(base, member.linkname)
        raise Invalid(f"{name[:200]!r} in the archive is not a plain file")


class _Window(io.RawIOBase):
    """The *size* bytes of a file that begin at *at*."""

    def __init__(self, path: Path, at: int, size: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._at, self._left = at, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = os.pread(self._descriptor, min(len(buffer), self._left), self._at)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _described(blob: Descriptor, media_type: str) -> dict[str, Any]:
    return Descriptor(media_type, blob.digest, blob.size).document()


def _layer_type(archive: Archive, blob: Descriptor) -> str:
    with archive.open(blob) as stream:
        gzipped = stream.read(2) == b"\x1f\x8b"
    return mediatypes.DOCKER_LAYER_GZIP if gzipped else mediatypes.DOCKER_LAYER


def _names(notes: Mapping[str, str]) -> list[str]:
    name = notes.get(IMAGE_NAME) or notes.get(REF_NAME) or ""
    try:
        return [str(Reference.parse(name))] if name else []
    except Invalid:
        return []


def _joined(base: str, target: str) -> str:
    """Where a link leads, as a member's name; what leads out is found nowhere."""
    parts = [] if target.startswith("/") or not base else base.split("/")
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
