"""A directory that is an OCI layout, as a place that images are carried from and to.

Blobs appear whole or not at all, and index.json names one after it and all its children
are there (image-layout.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from lading.errors import Invalid, NotFound
from lading.image.oci_layout import REF_NAME, VERSION
from lading.image.streams import pour
from lading.image.validate import check_length
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import encode, parse
from lading.store.blobs import BlobNotFound, UnexpectedContent

_INDEX = "index.json"
_NEW = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": []}


class NoSuchName(NotFound):
    """Raised where a layout has no image of that name, or several and none is named."""

    def __init__(self, folder: Path, name: str) -> None:
        wanted = f"no image named {name!r}" if name else "not exactly one image: name one of them"
        super().__init__(f"{folder} has {wanted}")


class Layout:
    """The layout in *folder*: a `Source`, and a `Target` too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> Descriptor:
        """The descriptor that index.json has under *name*, the only one for no name."""
        try:
            document = parse((self._folder / _INDEX).read_bytes(), _INDEX)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{self._folder} is not an image layout: it has no {_INDEX}") from None
        rows = [row for row in document.get("manifests") or [] if isinstance(row, dict)]
        found = [row for row in rows if not name or _name(row) == name]
        if len(found) != 1:
            raise NoSuchName(self._folder, name)
        return Descriptor.parse(found[0], _INDEX)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        try:
            return self._path(descriptor.digest).open("rb")
        except FileNotFoundError:
            raise BlobNotFound(descriptor.digest) from None

    def has(self, descriptor: Descriptor) -> bool:
        path = self._path(descriptor.digest)
        return path.is_file() and path.stat().st_size == descriptor.size

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        path = self._path(descriptor.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _appearing(path) as part:
            hashed = hashlib.new(descriptor.digest.algorithm)
            with part.open("wb") as out:
                size = pour(stream, _Both(out, hashed))
                out.flush()
                os.fsync(out.fileno())
            check_length(descriptor, size)
            if hashed.hexdigest() != descriptor.digest.hex:
                found = Digest(f"{descriptor.digest.algorithm}:{hashed.hexdigest()}")
                raise UnexpectedContent(descriptor.digest, found)

    def name(self, root: Descriptor, name: str) -> None:
        """Give *root* its name in index.json, taken from whoever had it."""
        (self._folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": VERSION}))
        path = self._folder / _INDEX
        document: dict[str, Any] = parse(path.read_bytes(), _INDEX) if path.exists() else {**_NEW}
        rows = [row for row in document.get("manifests") or [] if isinstance(row, dict)]
        kept = [row for row in rows if not _is_replaced(row, root, name)]
        annotations = {REF_NAME: name} if name else {}
        named = Descriptor(root.media_type, root.digest, root.size, annotations)
        document["manifests"] = [*kept, named.document()]
        with _appearing(path) as part:
            part.write_text(json.dumps(document))

    def _path(self, digest: Digest) -> Path:
        return self._folder / "blobs" / digest.algorithm / digest.hex


class _Both:
    """A file and a hash that are given the same."""

    def __init__(self, out: BinaryIO, hashed: Any) -> None:
        self._out, self._hash = out, hashed

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._out.write(piece)


def _is_replaced(row: dict[str, Any], root: Descriptor, name: str) -> bool:
    if name:
        return _name(row) == name
    return row.get("digest") == str(root.digest) and not _name(row)


def _name(row: dict[str, Any]) -> str:
    notes = row.get("annotations")
    return str(notes.get(REF_NAME) or "") if isinstance(notes, dict) else ""


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file beside *path* that takes its place when all went well."""
    part = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        yield part
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def split(text: str) -> tuple[Path, str]:
    """Folder and name of ``PATH[:NAME]``; Invalid for an empty path."""
    path, _, name = text.partition(":")
    if not path:
        raise Invalid(f"invalid place: oci:{text[:200]}: a directory is wanted")
    return Path(path), name
