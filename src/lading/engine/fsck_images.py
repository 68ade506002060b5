"""Whether the library's rows name what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from lading.container.record import Container
from lading.engine.fsck_values import Fault, Finding, Gravity
from lading.errors import LadingError
from lading.image.image import Image
from lading.image.library import Library
from lading.image.records import LayerRecord, NameRecord
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.database import Database
from lading.store.quarantine import Quarantine
from lading.store.records import Records


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows name: read once, before anything is looked at."""

    images: Mapping[Digest, Image | None]  # None where the documents are damaged
    documents: frozenset[Digest]
    sizes: Mapping[Digest, int]  # of blobs, as manifests tell
    layers: frozenset[Digest]
    users: Mapping[Digest, str]  # of blobs and layers: the image that is to come again

    @classmethod
    def read(cls, library: Library, containers: Iterable[Container]) -> Known:
        rows = library.catalogue.images.all()
        images = {Digest(key): _image(library, key, row.manifest) for key, row in rows.items()}
        whole = [image for image in images.values() if image is not None]
        blobs = [blob for image in whole for blob in _blobs(image)]
        standing = {Digest(each): c for c in containers for each in c.layers}
        users = {layer: c.config.image for layer, c in standing.items()}
        for image in images:
            users |= dict.fromkeys(
                _parts(image, images[image], rows[str(image)].manifest), _called(library, image)
            )
        return cls(
            images,
            frozenset(images) | {Digest(row.manifest) for row in rows.values()},
            {blob.digest: blob.size for blob in blobs},
            frozenset(layer for image in whole for layer in image.diff_ids) | set(standing),
            users,
        )

    def called(self, digest: Digest) -> str:
        """The image to load again for the sake of that blob or layer."""
        return self.users.get(digest, "its image")


def _image(library: Library, image: str, manifest: str) -> Image | None:
    """The image, if its documents are whole; nothing is put aside."""
    if not all(library.blobs.is_whole(Digest(each)) for each in (image, manifest)):
        return None
    try:
        return library.image(Digest(image))
    except LadingError:
        return None


def _blobs(image: Image) -> list[Descriptor]:
    return [image.manifest.config, *image.manifest.layers]


def _parts(image: Digest, found: Image | None, manifest: str) -> set[Digest]:
    own = {image, Digest(manifest)}
    if found is None:
        return own
    return own | {blob.digest for blob in found.manifest.layers} | set(found.diff_ids)


def _called(library: Library, image: Digest) -> str:
    return next((name.familiar for name in library.names(image)), image.short)


def images(library: Library, database: Database, known: Known) -> Iterator[Fault]:
    """Images whose documents or blobs are not here."""
    for digest, image in known.images.items():
        if image is not None:
            yield from _missing(library, known, image)
        elif library.catalogue.images.get(str(digest)) is not None:
            called = _called(library, digest)
            problem = "its manifest or config is missing or damaged"
            found = Finding("image", called, problem, f"load or pull {called} again")
            yield Fault(found, partial(_put_aside, library, Quarantine(database), digest))


def _missing(library: Library, known: Known, image: Image) -> Iterator[Fault]:
    for blob, diff_id in zip(image.manifest.layers, image.diff_ids, strict=True):
        if not library.blobs.has(blob.digest):
            runs = not library.snapshotter.damage(diff_id)
            lost = "be saved or pushed" if runs else "be run"
            problem = f"blob {blob.digest} of a layer is missing: it cannot {lost}"
            called = known.called(image.id)
            yield Fault(Finding("image", called, problem, f"load or pull {called} again"))


def _put_aside(library: Library, quarantine: Quarantine, image: Digest) -> str:
    reason = "its manifest or config is missing"
    with library.together():
        for name in library.names(image):
            quarantine.put("name", str(name), reason)
        quarantine.put("image", str(image), reason)
    return "its row and its names are put aside"


def rows(library: Library, database: Database) -> Iterator[Fault]:
    """Rows that name what is not here, and those that were put aside."""
    quarantine = Quarantine(database)
    yield from _names(library, database, quarantine)
    recorded: Records[LayerRecord] = Records(database, "layer", LayerRecord)
    for key in recorded.all():
        if not library.blobs.has(Digest(key)):
            problem = "the row of a blob that is missing"
            remedy = "lading gc drops it"
            found = Finding("row", f"layer {key}", problem, remedy, Gravity.LEFTOVER)
            yield Fault(found, partial(_drop, library, Digest(key)))
    quarantine.drop_replaced()
    for row in quarantine.all():
        problem = f"put aside at {row.at} UTC: {row.reason}"
        remedy = f"make the {row.kind} again; the row is kept until then"
        yield Fault(Finding("row", f"{row.kind} {row.key}", problem, remedy, Gravity.NOTE))


def _names(library: Library, database: Database, quarantine: Quarantine) -> Iterator[Fault]:
    names: Records[NameRecord] = Records(database, "name", NameRecord)
    for key, row in names.all().items():
        if library.catalogue.images.get(row.image) is None:
            problem = f"a name of image {row.image}, which has no row"
            found = Finding("row", f"name {key}", problem, f"load or pull {key} again")
            yield Fault(found, partial(_drop_name, quarantine, key))


def _drop(library: Library, blob: Digest) -> str:
    library.layers.forget(blob)
    return "it is dropped"


def _drop_name(quarantine: Quarantine, name: str) -> str:
    quarantine.put("name", name, "its image has no row")
    return "it is put aside"
