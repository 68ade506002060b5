"""This host's images: what they are called, what they are made of, and when they go.

An image is recorded when everything that it names is durable, and forgotten before any
of that is freed.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from lading.errors import Corrupt, LadingError, NotFound
from lading.events import Bus
from lading.image import catalogue, times, validate
from lading.image.catalogue import Catalogue
from lading.image.errors import DamagedImage, ImageNotFound
from lading.image.garbage import Collector, Garbage, Needs
from lading.image.history import HistoryRow, history
from lading.image.image import Image
from lading.image.layers import Layer, Layers
from lading.image.records import LayerRecord
from lading.image.removal import Deleted, Plan, Untagged, User
from lading.image.removal import plan as make_plan
from lading.image.summary import ImageSummary, PruneFilter
from lading.oci import mediatypes
from lading.oci.config import ImageConfig
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference
from lading.snapshot.protocol import LayerNotFound, Snapshotter
from lading.store.blobs import BlobStore
from lading.store.database import Database
from lading.store.leases import Lease
from lading.store.records import Records

Users = Callable[[Digest], Sequence[User]]
Gone = list[Untagged | Deleted]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of an image and where it lies on this host.

    *size* is the uncompressed tar's, in bytes; *path* is empty where the layer is missing.
    """

    diff_id: Digest
    chain_id: Digest
    blob: Descriptor
    size: int
    path: str
    driver: str


class Library:
    """The images below one root; safe to use from any thread."""

    def __init__(
        self,
        blobs: BlobStore,
        database: Database,
        snapshotter: Snapshotter,
        bus: Bus,
        *,
        held: Callable[[], Iterable[Digest]] = tuple,
        cached: Callable[[], Iterable[Digest]] = tuple,
    ) -> None:
        """*held* says which layers containers stand on, whether their image is here or not.

        *cached* names blobs and layers that are kept for builds to come.
        """
        self.blobs, self.snapshotter, self.bus = blobs, snapshotter, bus
        self.catalogue = Catalogue(database)
        self.held, self.cached = held, cached
        self.recall: Callable[[str], Image | None] = lambda text: None
        self._guard = threading.RLock()
        self._read: dict[Digest, Image] = {}  # by manifest; their documents were verified
        records: Records[LayerRecord] = Records(database, "layer", LayerRecord)
        self.layers = Layers(blobs, snapshotter, records, self._guard)
        self._collector = Collector(blobs, self.layers, snapshotter, self._guard, self._needs)

    def open(self) -> None:
        """Free what a crash left behind; for the start, before anybody stores anything."""
        self._collector.sweep()

    def garbage(self) -> Garbage:
        """What no image, no container and no operation needs."""
        return self._collector.garbage()

    def sweep(self) -> int:
        """Free all that is garbage; the bytes that were.  Others may store things meanwhile."""
        return self._collector.sweep()

    def resolve(self, text: str) -> Image:
        """The image that *text* names: name[:tag], name@digest, ID or the beginning of one.

        ImageNotFound, AmbiguousImage, InvalidReference, DamagedImage.  Where there is none,
        `recall` may still have it.
        """
        try:
            return self.image(self.catalogue.resolve(text))
        except ImageNotFound:
            found = self.recall(text)
            if found is None:
                raise
            return found

    def image(self, image: Digest) -> Image:
        """The image by its whole ID; ImageNotFound, DamagedImage."""
        row = self.catalogue.images.get(str(image))
        if row is None:
            raise ImageNotFound(str(image))
        manifest = Digest(row.manifest)
        found = self._read.get(manifest)
        if found is None or not (self.blobs.has(manifest) and self.blobs.has(image)):
            found = self._read[manifest] = self._load(image, manifest)
        return found

    def names(self, image: Digest) -> Sequence[Reference]:
        """By what the image is called, tags and digests, sorted."""
        return self.catalogue.names_of(image)

    def parent(self, image: Digest) -> Digest | None:
        """The image that *image* was made from, if it is still here."""
        row = self.catalogue.images.get(str(image))
        parent = Digest(row.parent) if row and row.parent else None
        return parent if parent and self.catalogue.images.get(str(parent)) else None

    def list(self) -> Sequence[ImageSummary]:
        """Every image, the newest first; a damaged one says so, and spoils no other."""
        names = self.catalogue.names()
        seen = {digest: self._look(digest) for digest in self.catalogue.ids()}
        uses = Counter(
            diff_id for image, _ in seen.values() if image for diff_id in set(image.diff_ids)
        )
        rows = [
            self._summary(digest, found, names.get(digest, ()), uses)
            for digest, found in seen.items()
        ]
        return sorted(rows, key=lambda row: (-row.created, row.id.text))

    def history(self, image: Image) -> Sequence[HistoryRow]:
        """The image's steps, the latest first."""
        return history(image, self.names(image.id))

    def layer_rows(self, image: Image) -> Sequence[LayerRow]:
        """The image's layers, bottom first."""
        rows = zip(image.diff_ids, image.chain_ids, image.manifest.layers, image.sizes, strict=True)
        return [
            LayerRow(*row, str(self.snapshotter.location(row[0]) or ""), self.snapshotter.name)
            for row in rows
        ]

    def kept(self, image: Image, lease: Lease) -> Sequence[Layer]:
        """The image's layers, held by *lease*, to build another one on; DamagedImage."""
        self.mountable(image)
        found = [self.layers.find(layer.digest, lease) for layer in image.manifest.layers]
        for layer, diff_id in zip(found, image.diff_ids, strict=True):
            if layer is None:
                raise LayerNotFound(diff_id)
        return [layer for layer in found if layer is not None]

    def mountable(self, image: Image) -> tuple[Digest, ...]:
        """The image's layers for a snapshot, each put back from its blob if it has gone.

        DamagedImage where that cannot be done.
        """
        for diff_id, blob in zip(image.diff_ids, image.manifest.layers, strict=True):
            try:
                self.layers.make_mountable(blob.digest, diff_id)
            except (Corrupt, NotFound) as error:
                raise DamagedImage(image.id, str(error)) from error
        return image.diff_ids

    def lease(self) -> AbstractContextManager[Lease]:
        """For an operation that stores things: what it did not come to record goes at its end."""
        return self._collector.lease()

    def holds(self, blob: Digest, lease: Lease) -> bool:
        """Whether *blob* is here; *lease* holds it then."""
        with self._guard:
            lease.hold(blob)
            return self.blobs.has(blob)

    def hold(self, digest: Digest, lease: Lease) -> None:
        """Have *lease* hold what is about to be stored."""
        with self._guard:  # either the collector sees it, or it has ended
            lease.hold(digest)

    def add(
        self,
        config: bytes,
        layers: Sequence[Layer],
        lease: Lease,
        *,
        manifest: Manifest | None = None,
        references: Iterable[Reference] = (),
        parent: Digest | None = None,
    ) -> Image:
        """Record an image whose *layers* are here, under the given names; durable on return.

        Without *manifest* one is written.  Inconsistent when config and layers disagree.
        """
        parsed = ImageConfig.parse(config)
        validate.check_layers(parsed, [layer.diff_id for layer in layers])
        manifest = manifest or _manifest(parsed, layers)
        image = manifest.config.digest
        with self._guard:
            lease.hold(image, manifest.digest)
        self.blobs.add(config)
        self.blobs.add(manifest.raw)
        old = self.catalogue.images.get(str(image))
        self.catalogue.keep(image, manifest.digest, references, str(parent or ""))
        if old is not None and old.manifest != str(manifest.digest):
            lease.hold(
                *self._parts(Digest(old.manifest))
            )  # what it alone named goes with the lease
        return self.image(image)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is added meanwhile is recorded at the end, all of it or nothing."""
        with self._guard, self.catalogue.transaction():
            yield

    def tag(self, image: Digest, reference: Reference) -> None:
        """Give *image* another name, taken from whoever had it; Invalid, ImageNotFound."""
        catalogue.check_tag(reference)
        with self._guard:
            if self.catalogue.images.get(str(image)) is None:
                raise ImageNotFound(str(image))
            self.catalogue.name(image, reference)
        self.bus.publish("image", "tag", str(image), {"name": reference.familiar})

    def remove(self, asked: str, *, force: bool = False, users: Users = lambda image: ()) -> Gone:
        """Remove a name, and the image with its last one; ImageNotFound, ImageInUse.

        *users* says which containers stand on an image.
        """
        with self._guard:
            image = self.catalogue.resolve(asked)
            names = self.names(image)
            plan = make_plan(image, names, asked, users(image), force=force)
            gone, _ = self._carry_out(image, plan)
            return gone

    def prune(self, filters: Mapping[str, Sequence[str]], users: Users) -> tuple[Gone, int]:
        """Remove images that no container stands on; what went, and the bytes that freed.

        Those without a name, or with the filter ``dangling=false`` all; Invalid.
        """
        chosen = PruneFilter(filters)
        gone: Gone = []
        freed = 0
        for row in self.list():
            with self._guard:
                unchanged = row.tags == _tags(self.names(row.id))  # named or removed meanwhile
                if unchanged and chosen.takes(row) and not users(row.id):
                    steps, size = self._carry_out(row.id, Plan(tuple(self.names(row.id)), True))
                    gone += steps
                    freed += size
        self.bus.publish("image", "prune", "", {"reclaimed": str(freed)})
        return gone, freed

    def _carry_out(self, image: Digest, plan: Plan) -> tuple[Gone, int]:
        """Forget names and image, then free what that leaves behind; the bytes that were."""
        gone: Gone = [Untagged(name.familiar) for name in plan.untag]
        if not plan.delete:
            for name in plan.untag:
                self.catalogue.unname(name)
            self._tell_untagged(image, plan.untag)
            return gone, 0
        row = self.catalogue.images.get(str(image))
        parts = {image, *(self._parts(Digest(row.manifest)) if row else ())}
        chains = self._chains(image)
        self.catalogue.forget(image)
        freed = self._collector.collect(parts)
        left = {chain for other in self._readable() for chain in other.chain_ids}
        self._tell_untagged(image, plan.untag)
        self.bus.publish("image", "delete", str(image), {"name": str(image)})
        return [*gone, Deleted(image), *(Deleted(c) for c in chains if c not in left)], freed

    def _tell_untagged(self, image: Digest, names: Iterable[Reference]) -> None:
        for _ in names:
            self.bus.publish("image", "untag", str(image), {"name": str(image)})

    def _chains(self, image: Digest) -> tuple[Digest, ...]:
        """The stacks of layers of *image*, the highest first; none where it is damaged."""
        found, _ = self._look(image)
        return found.chain_ids[::-1] if found else ()

    def _parts(self, manifest: Digest) -> set[Digest]:
        """Everything that the image with that manifest is made of, as far as it can be read."""
        found = self._read.pop(manifest, None)
        if found is None:
            return {manifest}
        blobs = (layer.digest for layer in found.manifest.layers)
        return {manifest, found.id, *blobs, *found.diff_ids}

    def _look(self, image: Digest) -> tuple[Image | None, str]:
        """The image as far as it can be read, and what is wrong with it."""
        try:
            found = self.image(image)
        except DamagedImage as error:
            return None, error.why
        except ImageNotFound:  # it went meanwhile
            return None, "it is gone"
        for diff_id, blob in zip(found.diff_ids, found.manifest.layers, strict=True):
            if self.snapshotter.location(diff_id) is None and not self.blobs.has(blob.digest):
                return found, f"layer {diff_id} is missing"
        return found, ""

    def _readable(self) -> Iterator[Image]:
        for image in self.catalogue.ids():
            found, _ = self._look(image)
            if found is not None:
                yield found

    def _needs(self) -> Needs:
        images = list(self._readable())
        rows = self.catalogue.images.all()
        needs = Needs.of(images)
        blobs = {Digest(key) for key in rows} | {Digest(row.manifest) for row in rows.values()}
        cached = frozenset(self.cached())
        return Needs(
            needs.blobs | blobs | cached,
            needs.layers | cached | set(self.held()),
            len(images) == len(rows),
        )

    def _load(self, image: Digest, digest: Digest) -> Image:
        try:
            manifest = Manifest.parse(self.blobs.read(digest))
            config = ImageConfig.parse(self.blobs.read(image))
            validate.check_config(config, len(manifest.layers))
        except LadingError as error:
            raise DamagedImage(image, str(error)) from error
        sizes = tuple(self.layers.size(layer.digest) for layer in manifest.layers)
        return Image(manifest, config, sizes)

    def _summary(
        self,
        digest: Digest,
        found: tuple[Image | None, str],
        names: Sequence[Reference],
        uses: Mapping[Digest, int],
    ) -> ImageSummary:
        image, damage = found
        row = self.catalogue.images.get(str(digest))
        if row is None or image is None:
            return ImageSummary(digest, damage=damage, tags=_tags(names))
        sizes = zip(image.diff_ids, image.sizes, strict=True)
        return ImageSummary(
            digest,
            image.manifest.digest,
            _tags(names),
            _digests(names, image.manifest.digest),
            times.parse(image.config.created) or 0,
            row.tagged,
            image.size,
            sum(size for diff_id, size in sizes if uses[diff_id] > 1),
            image.config.labels,
            row.parent,
            damage,
        )


def _tags(names: Iterable[Reference]) -> tuple[str, ...]:
    return tuple(name.familiar for name in names if name.digest is None)


def _digests(names: Iterable[Reference], manifest: Digest) -> tuple[str, ...]:
    """By digest the image answers to every repository that it has a name in."""
    repositories = dict.fromkeys(name.familiar_name for name in names)
    return tuple(f"{repository}@{manifest}" for repository in repositories)


def _manifest(config: ImageConfig, layers: Sequence[Layer]) -> Manifest:
    descriptor = Descriptor(mediatypes.OCI_CONFIG, config.id, len(config.raw))
    return Manifest.of(descriptor, [layer.blob for layer in layers])
