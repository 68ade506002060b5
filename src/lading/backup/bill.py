"""The bill of lading: what a backup holds, and everything needed to make the container again.

Container options are in it whole, as Docker's own structures, and so are the image's manifest
and configuration, byte for byte (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.errors import Corrupt, Unsupported
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest, InvalidDigest
from lading.volume.values import MountPoint

VERSION = 1
LAYER, VOLUME, BIND, IMAGE = "layer", "volume", "bind", "image"
_KINDS = (LAYER, VOLUME, BIND, IMAGE)


class InvalidBill(Corrupt):
    """Raised for bytes that are not a sound bill."""

    def __init__(self, why: str) -> None:
        super().__init__(f"damaged bill: {why}")


class Blob(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    """A descriptor, as the image specification has it."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, descriptor: Descriptor) -> Blob:
        return cls(descriptor.media_type, str(descriptor.digest), descriptor.size)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, Digest.parse(self.digest), self.size)


class CargoContainer(msgspec.Struct, frozen=True, kw_only=True):
    """The container: *id*, *name* and options as they were, *mounts* as they were resolved."""

    id: str
    name: str
    created: int  # nanoseconds since 1970
    config: Config
    host: HostConfig
    networking: NetworkingConfig
    mounts: list[MountPoint]
    platform: str = "linux"
    was_running: bool = False
    exit_code: int = 0
    started_at: int = 0  # nanoseconds since 1970, 0 for never; the latest start and end
    finished_at: int = 0


class CargoImage(msgspec.Struct, frozen=True, kw_only=True):
    """The image below: *reference* as the user wrote it, *names* all that it was called.

    *manifest* and *config* are the documents' own bytes.
    """

    id: str
    reference: str
    names: list[str]
    descriptor: Blob  # of the manifest
    manifest: bytes
    config: bytes


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A tree of files: the writable layer, a volume, a bind, a sealed image's layers.

    *plain* is BLAKE3 of the tree before it was sealed, in hex: the same part unchanged is
    known by it.  *entries* and *size* (bytes of all files) are for people.
    """

    kind: str
    name: str  # a volume's name, a bind's path on the host; empty for others
    tree: Blob
    plain: str
    entries: int
    size: int
    labels: Mapping[str, str] = {}
    anonymous: bool = False


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """Everything aboard.  *packs* are all that the parts' trees name, with their sizes."""

    version: int = VERSION
    lading: str  # the version that wrote it
    ref: str  # the tag at the target
    group: str  # the same for what was captured at one instant
    created: int  # nanoseconds since 1970, when the container stood still
    hostname: str
    consistency: str  # pause, stop or live
    paused_ms: int
    container: CargoContainer
    image: CargoImage
    parts: list[Part]
    packs: list[Blob]
    networks: list[dict[str, Any]] = []
    added: int = 0  # bytes that this backup brought to the target, as stored
    not_included: list[str] = []
    warnings: list[str] = []

    def part(self, kind: str, name: str = "") -> Part | None:
        """The part of that kind and name."""
        return next((p for p in self.parts if (p.kind, p.name) == (kind, name)), None)


def encode(bill: Bill) -> bytes:
    return msgspec.json.encode(bill)


def decode(raw: bytes) -> Bill:
    """InvalidBill, Unsupported for a newer version."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
        if head.version > VERSION:
            raise Unsupported(f"the backup has version {head.version}, newer than this lading's")
        bill = msgspec.json.decode(raw, type=Bill)
        _check(bill)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidDigest) as error:
        raise InvalidBill(str(error)) from None
    return bill


class _Head(msgspec.Struct):
    version: int


def _check(bill: Bill) -> None:
    for blob in (bill.image.descriptor, *(part.tree for part in bill.parts), *bill.packs):
        Digest.parse(blob.digest)
        if not 0 <= blob.size < 2**62:
            raise InvalidBill("a blob's size")
    if any(part.kind not in _KINDS for part in bill.parts):
        raise InvalidBill("a part's kind")
    named = {(part.kind, part.name) for part in bill.parts}
    if len(named) != len(bill.parts):
        raise InvalidBill("two parts of one name")
    if Digest.of(bill.image.manifest) != Digest.parse(bill.image.descriptor.digest):
        raise InvalidBill("the image's manifest is not what its digest says")
