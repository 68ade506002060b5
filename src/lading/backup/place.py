"""What a backup target must be able to do, and the functions over it.

A place is a `Source` and a `Target` of `lading.image.transfer` that also has names: tags, each
of which names a manifest.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol, cast

from lading.backup.far import FarBlob
from lading.errors import Corrupt
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_PIECE = 256 * 1024

Rename = Callable[[Mapping[str, Descriptor]], Mapping[str, Descriptor | None]]
"""Given all tags, those to set, and with None those to take away."""


class DamagedAtTarget(Corrupt):
    """Raised for a blob that is not at the target, or not as it was stored."""

    def __init__(self, descriptor: Descriptor, why: str) -> None:
        super().__init__(f"blob {descriptor.digest} at the target {why}")
        self.digest = descriptor.digest


class Place(Protocol):
    """Where backups are kept."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, from the start, not verified; NotFound."""
        ...

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there, with its size."""
        ...

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Keep the blob, verified; durable on return, whole or not there at all."""
        ...

    def names(self) -> Mapping[str, tuple[Descriptor, str]]:
        """The manifest of each tag, and its artifact type where it is known.

        What has no tag is called by an ``@`` and its digest.
        """
        ...

    def rename(self, change: Rename, artifact_type: str) -> None:
        """Change tags, atomically, whatever others do meanwhile; durable on return."""
        ...

    def held(self, *, alone: bool = False) -> AbstractContextManager[None]:
        """Keep others from sweeping what is not named yet; *alone*: from writing at all."""
        ...

    def sweep(self, needed: Collection[Digest]) -> tuple[int, int]:
        """Free all other blobs, while held *alone*; how many, and their bytes."""
        ...


def add_bytes(place: Place, media_type: str, content: bytes | bytearray) -> Descriptor:
    """Keep *content*, unless it is there; its descriptor."""
    digest = Digest("sha256:" + hashlib.sha256(content).hexdigest())
    descriptor = Descriptor(media_type, digest, len(content))
    if not place.has(descriptor):
        place.add(descriptor, io.BytesIO(content))
    return descriptor


def read_verified(place: Place, descriptor: Descriptor, most: int) -> bytes:
    """The whole blob; DamagedAtTarget, also where it has more than *most* bytes."""
    if descriptor.size > most:
        raise DamagedAtTarget(descriptor, f"has {descriptor.size} bytes, more than {most}")
    with verified(place, descriptor) as stream:
        return stream.read()


def verified(place: Place, descriptor: Descriptor) -> BinaryIO:
    """The blob as a seekable stream, at its start; DamagedAtTarget.  Close it."""
    stream = place.open(descriptor)
    near = stream.seekable() and not isinstance(stream, FarBlob)
    local = stream if near else _held(stream, descriptor)
    try:
        _check(local, descriptor)
    except BaseException:
        local.close()
        raise
    return local


def _held(stream: BinaryIO, descriptor: Descriptor) -> BinaryIO:
    """What comes from elsewhere, kept here while it is read: so it comes once."""
    kept = TemporaryFile()  # noqa: SIM115  # whoever gets it closes it
    left = descriptor.size + 1
    try:
        with stream:
            while left and (piece := stream.read(min(left, _PIECE))):
                kept.write(piece)
                left -= len(piece)
        kept.seek(0)
    except BaseException:
        kept.close()
        raise
    return cast(BinaryIO, kept)


def _check(stream: BinaryIO, descriptor: Descriptor) -> None:
    hashed, size = hashlib.new(descriptor.digest.algorithm), 0
    while piece := stream.read(_PIECE):
        hashed.update(piece)
        size += len(piece)
    if size != descriptor.size:
        raise DamagedAtTarget(descriptor, f"has {size} bytes instead of {descriptor.size}")
    if hashed.hexdigest() != descriptor.digest.hex:
        raise DamagedAtTarget(descriptor, "is damaged: its bytes are not what its digest says")
    stream.seek(0)
