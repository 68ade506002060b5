"""A target opened: its own document, its keys, and the backups that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lading.backup import bill as bills
from lading.backup import mediatypes as media
from lading.backup import target as targets
from lading.backup import tree as trees
from lading.backup.bill import Bill, Part
from lading.backup.locations import Location
from lading.backup.packing import Chunk, Pack
from lading.backup.packs import PackReader
from lading.backup.place import Place, add_bytes, read_verified
from lading.backup.sealing import Keys, NotAuthentic, namer, open_document
from lading.backup.slots import Secret
from lading.backup.target import TargetDocument
from lading.errors import Conflict, Corrupt, LadingError, NotFound
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, encode
from lading.oci.manifest import Manifest
from lading.registry.remotes import Remotes

MOST_BILL = 256 * 1024 * 1024
MOST_TREE = 1024 * 1024 * 1024
_LATEST = 16  # backups whose chunks a new one may name


class NoSuchBackup(NotFound):
    """Raised for a ref that no backup at the target has."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"no such backup: {ref}")


class NoBackups(NotFound):
    """Raised where a target holds no backup at all."""

    def __init__(self, location: Location) -> None:
        super().__init__(f"{location.text} holds no backups")


@dataclass(frozen=True, slots=True)
class Stored:
    """A backup at a target."""

    tag: str
    descriptor: Descriptor  # of its manifest
    manifest: Manifest
    bill: Bill

    @property
    def blobs(self) -> list[Descriptor]:
        """Everything it is made of, its manifest last."""
        return [self.manifest.config, *self.manifest.layers, self.descriptor]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A backup that cannot be read, and why."""

    tag: str
    descriptor: Descriptor
    why: str


class Depot:
    """A place with what opens its blobs."""

    def __init__(
        self, location: Location, place: Place, document: TargetDocument, keys: Keys | None
    ) -> None:
        self.location, self.place, self.document, self.keys = location, place, document, keys
        self.is_new = False

    @property
    def is_sealed(self) -> bool:
        return self.keys is not None

    def tags(self) -> Mapping[str, Descriptor]:
        """The manifest of every backup, readable or not, by tag."""
        rows = self.place.names().items()
        backups = ((tag, found) for tag, (found, kind) in rows if kind == media.BACKUP)
        return {tag: descriptor for tag, descriptor in backups if not tag.startswith("@")}

    def get(self, tag: str) -> Stored:
        """The backup of that tag, its documents verified; NoSuchBackup, Corrupt."""
        descriptor = self.tags().get(tag)
        if descriptor is None:
            raise NoSuchBackup(self.location.ref(tag))
        return self._read(tag, descriptor)

    def all(self) -> list[Stored | Damaged]:
        """Every backup, the oldest first; a damaged one spoils no other."""
        found: list[Stored | Damaged] = []
        for tag, descriptor in self.tags().items():
            try:
                found.append(self._read(tag, descriptor))
            except LadingError as error:
                found.append(Damaged(tag, descriptor, str(error)))
        return sorted(found, key=_age)

    def stored(self) -> list[Stored]:
        """Those that can be read, the oldest first."""
        return [each for each in self.all() if isinstance(each, Stored)]

    def tree(self, part: Part) -> trees.Tree:
        """A part's files; Corrupt."""
        descriptor = part.tree.descriptor
        raw = read_verified(self.place, descriptor, MOST_TREE)
        return trees.decode(open_document(self.keys, "tree", raw, f"tree {descriptor.digest}"))

    def chunks(self, backups: list[Stored]) -> dict[bytes, Chunk]:
        """The chunks that the latest of *backups* name, by name."""
        packs = {p.digest: p for each in backups[-_LATEST:] for p in packs_of(each.bill).values()}
        return self.chunks_of(packs.values())

    def chunks_of(self, packs: Iterable[Descriptor]) -> dict[bytes, Chunk]:
        """The chunks of some packs, by name; packs that cannot be read have none."""
        found: dict[bytes, Chunk] = {}
        name = namer(self.keys)
        for pack in packs:
            self._add_chunks(pack, found, name)
        return found

    def name(self, backups: Mapping[str, Descriptor]) -> None:
        """Give backups their tags, all at once; durable on return."""

        def change(tags: Mapping[str, Descriptor]) -> Mapping[str, Descriptor]:
            for tag in backups.keys() & tags.keys():
                raise Conflict(f"a backup called {tag} was made meanwhile: try again")
            self._stay(tags.get(targets.TAG))
            return backups

        self.place.rename(change, media.BACKUP)

    def _stay(self, now: Descriptor | None) -> None:
        """Conflict where two made the target at once, and it is the other's: its keys differ."""
        if now is None or read_target(self.place, now).id != self.document.id:
            raise Conflict(f"{self.location.text} was made by another meanwhile: try again")

    def _add_chunks(
        self, descriptor: Descriptor, found: dict[bytes, Chunk], name: Callable[[Any], bytes]
    ) -> None:
        pack = Pack(descriptor)
        if not self.place.has(descriptor):
            return
        try:
            with self.place.open(descriptor) as stream:
                rows = PackReader(stream, descriptor.size, self.keys, name).rows
        except Corrupt:
            return  # what is damaged is stored again
        for number, row in enumerate(rows):
            found.setdefault(row.name, Chunk(pack, number))

    def _read(self, tag: str, descriptor: Descriptor) -> Stored:
        manifest = Manifest.parse(read_verified(self.place, descriptor, MOST_BYTES))
        if manifest.config.media_type not in media.BILLS:
            raise Corrupt(f"{self.location.ref(tag)} is not a backup of this version")
        raw = read_verified(self.place, manifest.config, MOST_BILL)
        bill = bills.decode(open_document(self.keys, "bill", raw, f"the bill of {tag}"))
        if bill.ref != tag:
            raise NotAuthentic(f"backup {tag}, whose bill says {bill.ref[:200]}")
        named = {str(layer.digest) for layer in manifest.layers}
        for blob in (*bill.packs, *(part.tree for part in bill.parts)):
            if blob.digest not in named:
                raise NotAuthentic(f"backup {tag}, whose manifest lacks {blob.digest}")
        return Stored(tag, descriptor, manifest, bill)


def open_depot(
    location: Location, secret: Secret | None, *, make: bool = False, remotes: Remotes | None = None
) -> Depot:
    """The target; where it is new and *make* is set it is made, encrypted if a *secret* is given.

    NoSuchTarget, NotALayout, SecretWanted, WrongSecret, NotEncrypted, Corrupt.
    """
    place = location.open(make=make, remotes=remotes)
    with place.held():
        found = place.names().get(targets.TAG)
        if found is None and not make:
            raise NoBackups(location)
        document = read_target(place, found[0]) if found else _make_target(place, secret)
    depot = Depot(location, place, document, document.keys(secret))
    depot.is_new = found is None
    return depot


def read_target(place: Place, descriptor: Descriptor) -> TargetDocument:
    """A target's own document; NotATarget, DamagedAtTarget."""
    manifest = Manifest.parse(read_verified(place, descriptor, MOST_BYTES))
    return targets.decode(read_verified(place, manifest.config, MOST_BYTES))


def _make_target(place: Place, secret: Secret | None) -> TargetDocument:
    """The target's document, or that of whoever was first."""
    document = targets.new(secret)
    descriptor = keep_target(place, document)

    def change(tags: Mapping[str, Descriptor]) -> dict[str, Descriptor | None]:
        return {} if targets.TAG in tags else {targets.TAG: descriptor}

    place.rename(change, media.TARGET)
    return read_target(place, place.names()[targets.TAG][0])


def keep_target(place: Place, document: TargetDocument) -> Descriptor:
    """Store the document; the manifest that is to be named."""
    config = add_bytes(place, media.TARGET_CONFIG, targets.encode(document))
    raw = encode(manifest_document(media.TARGET, config, []))
    return add_bytes(place, mediatypes.OCI_MANIFEST, raw)


def manifest_document(
    artifact_type: str,
    config: Descriptor,
    layers: list[Descriptor],
    *,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """An OCI manifest for what is no image (image-spec manifest.md)."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.document(),
        "layers": [layer.document() for layer in layers],
    }
    if subject is not None:
        document["subject"] = subject.document()
    if annotations:
        document["annotations"] = dict(annotations)
    return document


def subject_of(manifest: Manifest) -> Descriptor | None:
    """The manifest that *manifest* is about."""
    fields = msgspec.json.decode(manifest.raw)
    return Descriptor.parse(fields["subject"], "manifest") if fields.get("subject") else None


def packs_of(bill: Bill) -> dict[Digest, Descriptor]:
    """The packs that a backup's trees name."""
    return {blob.descriptor.digest: blob.descriptor for blob in bill.packs}


def _age(backup: Stored | Damaged) -> tuple[int, str]:
    return (backup.bill.created if isinstance(backup, Stored) else 0, backup.tag)
