"""Carry a backup from one target to another, byte for byte: what is sealed stays sealed."""

from __future__ import annotations

from collections.abc import Mapping

from lading.backup import mediatypes as media
from lading.backup import target as targets
from lading.backup.depot import Depot, keep_target, read_target, subject_of
from lading.backup.locations import Location
from lading.backup.place import Place
from lading.errors import Conflict, Unsupported
from lading.image import transfer
from lading.oci.descriptor import Descriptor
from lading.registry.remotes import Remotes


def copy(depot: Depot, tag: str, to: Location, *, remotes: Remotes | None = None) -> int:
    """Copy the backup *tag* to another target, made if need be; the bytes that were new there.

    Both targets are plain, or both have the same key.  Unsupported otherwise.
    """
    backup = depot.get(tag)
    place = to.open(make=True, remotes=remotes)
    with depot.place.held(), place.held():
        _match(depot, place, to)
        subject = subject_of(backup.manifest)
        added = sum(blob.size for blob in backup.blobs if not place.has(blob))
        for root in filter(None, (subject, backup.descriptor)):
            transfer.copy(depot.place, place, root)

        def change(tags: Mapping[str, Descriptor]) -> Mapping[str, Descriptor]:
            if tags.get(tag, backup.descriptor).digest != backup.descriptor.digest:
                raise Conflict(f"{to.ref(tag)} is another backup")
            return {tag: backup.descriptor}

        place.rename(change, media.BACKUP)
    return added


def _match(depot: Depot, place: Place, to: Location) -> None:
    """The other target is of this one's kind, or becomes so."""
    found = place.names().get(targets.TAG)
    if found is None:
        document = depot.document if depot.is_sealed else targets.new(None)
        descriptor = keep_target(place, document)
        place.rename(lambda tags: {} if targets.TAG in tags else {targets.TAG: descriptor},
                     media.TARGET)  # fmt: skip
        found = place.names()[targets.TAG]
    other = read_target(place, found[0])
    same = (other.id, other.encryption) == (depot.document.id, depot.document.encryption)
    if (other.is_encrypted or depot.is_sealed) and not same:
        raise Unsupported(
            f"{to.text} has another key: a backup is copied as it is, and could not be opened there"
        )
