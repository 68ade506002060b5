"""One container's cargo, captured: its trees, its bill, and the manifest that names them all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading import __version__
from lading.backup import bill as bills
from lading.backup import mediatypes as media
from lading.backup.bill import Bill, Blob, CargoContainer, CargoImage, Part
from lading.backup.capture import Captured
from lading.backup.depot import Depot, manifest_document
from lading.backup.place import add_bytes
from lading.backup.sealing import seal_document
from lading.container.record import Container
from lading.errors import Conflict
from lading.image.times import rfc3339
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.documents import encode
from lading.oci.manifest import Manifest

_MOST_LAYERS = 4096  # of one manifest, as everybody reads it


class TooLarge(Conflict):
    """Raised for a backup of more packs than one manifest can name."""

    def __init__(self, name: str, blobs: int) -> None:
        super().__init__(f"container {name} is too large for one backup: it has {blobs} blobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stowed:
    """A part whose tree is at the target, with the packs that the tree names."""

    part: Part
    packs: Sequence[Descriptor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How and when a group of containers was captured."""

    group: str
    created: int
    consistency: str
    added: int


def stow(depot: Depot, captured: Captured, known: Part | None, **about: Any) -> Stowed:
    """Keep a part's tree, or take the one that *known* has, where it is the same."""
    from blake3 import blake3

    encoded = captured.encoded()
    plain = blake3(encoded).hexdigest()
    if known is not None and known.plain == plain and depot.place.has(known.tree.descriptor):
        tree = known.tree
    else:
        kind = media.TREE_SEALED if depot.is_sealed else media.TREE
        tree = Blob.of(add_bytes(depot.place, kind, seal_document(depot.keys, "tree", encoded)))
    part = Part(tree=tree, plain=plain, entries=len(captured.entries), size=captured.size, **about)
    return Stowed(part=part, packs=captured.packs)


def billed(
    container: Container,
    image: CargoImage,
    stowed: Sequence[Stowed],
    circumstances: Circumstances,
    **others: Any,
) -> Bill:
    """The bill: *others* are its remaining fields."""
    packs = {pack.digest: pack for each in stowed for pack in each.packs}
    return Bill(
        lading=__version__,
        group=circumstances.group,
        created=circumstances.created,
        hostname=os.uname().nodename,
        consistency=circumstances.consistency,
        container=cargo_of(container),
        image=image,
        parts=[each.part for each in stowed],
        packs=[Blob.of(pack) for pack in packs.values()],
        added=circumstances.added,
        **others,
    )


def cargo_of(container: Container) -> CargoContainer:
    """The container, as it is made again."""
    return CargoContainer(
        id=container.id,
        name=container.name,
        created=container.created,
        config=container.config,
        host=container.host,
        networking=container.networking,
        mounts=container.mounts,
        platform=container.platform,
        was_running=container.running,
        exit_code=container.state.exit_code,
        started_at=container.state.started_at,
        finished_at=container.state.finished_at,
    )


def conclude(depot: Depot, bill: Bill) -> Descriptor:
    """Keep the bill and the manifest, which is yet to be named; TooLarge."""
    kind = media.BILL_SEALED if depot.is_sealed else media.BILL
    raw = seal_document(depot.keys, "bill", bills.encode(bill))
    config = add_bytes(depot.place, kind, raw)
    image = Manifest.parse(bill.image.manifest)
    trees = {part.tree.digest: part.tree.descriptor for part in bill.parts}
    layers = [*trees.values(), *(blob.descriptor for blob in bill.packs)]
    if not depot.is_sealed:
        layers = [*image.layers, *layers]
    if len(layers) > _MOST_LAYERS:
        raise TooLarge(bill.container.name, len(layers))
    document = manifest_document(
        media.BACKUP,
        config,
        layers,
        subject=None if depot.is_sealed else image.descriptor,
        annotations=_annotations(bill),
    )
    return add_bytes(depot.place, mediatypes.OCI_MANIFEST, encode(document))


def _annotations(bill: Bill) -> Mapping[str, str]:
    return {"org.opencontainers.image.created": rfc3339(bill.created)}
