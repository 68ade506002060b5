"""Remove backups that are not kept, and free the blobs that nobody names any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lading.backup import retention
from lading.backup.depot import Depot, subject_of
from lading.backup.place import Place, read_verified
from lading.backup.retention import Policy
from lading.errors import LadingError
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES
from lading.oci.manifest import Index, Manifest
from lading.store.collect import reachable


@dataclass(frozen=True, slots=True)
class Pruned:
    """*kept* has reasons by tag; *warnings* tell what could not be done."""

    removed: list[str]
    kept: Mapping[str, list[str]]
    blobs: int
    freed: int
    warnings: list[str]


def prune(depot: Depot, policy: Policy, *, dry_run: bool) -> Pruned:
    """Remove what *policy* does not keep; damaged backups stay.  InUse while others write."""
    policy.check()
    if dry_run:
        removed, kept = _decided(depot, policy)
        return Pruned(removed, kept, 0, 0, [])
    with depot.place.held(alone=True):
        removed, kept = _decided(depot, policy)
        if removed:
            depot.place.rename(lambda _: dict.fromkeys(removed), "")
        blobs, freed, warnings = _swept(depot.place)
        return Pruned(removed, kept, blobs, freed, warnings)


def _decided(depot: Depot, policy: Policy) -> tuple[list[str], dict[str, list[str]]]:
    backups = depot.stored()
    kept = retention.kept([backup.bill for backup in backups], policy)
    return [backup.tag for backup in backups if backup.tag not in kept], kept


def _swept(place: Place) -> tuple[int, int, list[str]]:
    roots = {descriptor.digest: descriptor for descriptor, _ in place.names().values()}
    try:
        needed = _needed(place, roots)
    except LadingError as error:  # what it names is not known, so nothing is safe to free
        return 0, 0, [f"nothing was freed: {error}"]
    blobs, freed = place.sweep(needed)
    return blobs, freed, []


def _needed(place: Place, roots: Mapping[Digest, Descriptor]) -> set[Digest]:
    known = dict(roots)

    def children(digest: Digest) -> Iterator[Digest]:
        for child in _children(place, known[digest]):
            known.setdefault(child.digest, child)
            yield child.digest

    return reachable(roots, children)


def _children(place: Place, descriptor: Descriptor) -> list[Descriptor]:
    if descriptor.media_type in mediatypes.MANIFESTS:
        manifest = Manifest.parse(read_verified(place, descriptor, MOST_BYTES))
        subject = subject_of(manifest)
        return [manifest.config, *manifest.layers, *([subject] if subject else [])]
    if descriptor.media_type in mediatypes.INDEXES:
        index = Index.parse(read_verified(place, descriptor, MOST_BYTES))
        return [child for child, _ in index.manifests]
    return []
