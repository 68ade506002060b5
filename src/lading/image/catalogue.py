"""Which images this host knows, and by which names: the rows, and how a name is resolved."""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

from lading.errors import Invalid
from lading.image.errors import AmbiguousImage, ImageNotFound
from lading.image.records import ImageRecord, NameRecord
from lading.oci.digest import Digest, InvalidDigest
from lading.oci.reference import InvalidReference, Reference
from lading.store.database import Database
from lading.store.records import Records

_LOG = logging.getLogger(__name__)
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


class Catalogue:
    """The library's rows about images and their names."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.images: Records[ImageRecord] = Records(database, "image", ImageRecord)
        self._names: Records[NameRecord] = Records(database, "name", NameRecord)

    def transaction(self) -> AbstractContextManager[object]:
        """What is written meanwhile becomes durable at the end, all of it or nothing."""
        return self._database.transaction()

    def ids(self) -> list[Digest]:
        """All image IDs."""
        return [Digest(key) for key in self.images.all()]

    def names(self) -> dict[Digest, list[Reference]]:
        """The names of every image, sorted."""
        found = defaultdict(list)
        for reference, image in _references(self._names.all()):
            found[image].append(reference)
        return dict(found)

    def names_of(self, image: Digest) -> list[Reference]:
        """The names of one image, sorted."""
        return self.names().get(image, [])

    def holder(self, reference: Reference) -> Digest | None:
        """The image that has this very name."""
        row = self._names.get(str(reference))
        return None if row is None else Digest(row.image)

    def keep(
        self, image: Digest, manifest: Digest, references: Iterable[Reference], parent: str
    ) -> None:
        """Write the row of *image* and its new names, all or nothing."""
        now = time.time_ns()
        with self._database.transaction():
            old = self.images.get(str(image))
            added = old.added if old else now
            tagged = old.tagged if old else 0
            parent = parent or (old.parent if old else "")
            self.images.put(str(image), ImageRecord(str(manifest), added, tagged, parent))
            for reference in references:
                self.name(image, reference)

    def name(self, image: Digest, reference: Reference) -> None:
        """Give *image* the name, whoever had it before."""
        with self._database.transaction():
            self._names.put(str(reference), NameRecord(str(image)))
            row = self.images.get(str(image))
            if row is not None:
                tagged = ImageRecord(row.manifest, row.added, time.time_ns(), row.parent)
                self.images.put(str(image), tagged)

    def unname(self, reference: Reference) -> None:
        """Forget the name."""
        self._names.delete(str(reference))

    def forget(self, image: Digest) -> None:
        """Forget the image and all of its names."""
        with self._database.transaction():
            for reference in self.names_of(image):
                self.unname(reference)
            self.images.delete(str(image))

    def resolve(self, text: str) -> Digest:
        """The image that a name, name@digest, ID or unique beginning of one means.

        ImageNotFound, AmbiguousImage, InvalidReference.  A name goes before an ID.
        """
        whole = _ID.fullmatch(text)
        if whole:
            return self._existing(Digest(f"sha256:{whole[1]}"), text)
        reference = self._parse(text)
        if reference is not None:
            found = self._named(reference)
            if found is not None:
                return found
        prefix = _PREFIX.fullmatch(text)
        if prefix:
            return self._beginning(prefix[1], text, reference)
        raise ImageNotFound(reference.familiar if reference else text)

    def _parse(self, text: str) -> Reference | None:
        try:
            return Reference.parse(text)
        except InvalidDigest:
            raise InvalidReference(text) from None
        except InvalidReference:
            if _PREFIX.fullmatch(text):
                return None
            raise

    def _named(self, reference: Reference) -> Digest | None:
        """By exact name; by digest also through any name of that repository."""
        if reference.digest is None:
            return self.holder(reference)
        plain = Reference(reference.domain, reference.path, "", reference.digest)
        return self.holder(plain) or self._by_manifest(reference)

    def _by_manifest(self, reference: Reference) -> Digest | None:
        for name, image in _references(self._names.all()):
            if name.repository == reference.repository and reference.tag in ("", name.tag):
                row = self.images.get(str(image))
                if row is not None and row.manifest == str(reference.digest):
                    return image
        return None

    def _existing(self, image: Digest, text: str) -> Digest:
        if self.images.get(str(image)) is None:
            raise ImageNotFound(text)
        return image

    def _beginning(self, prefix: str, text: str, reference: Reference | None) -> Digest:
        found = [image for image in self.ids() if image.hex.startswith(prefix)]
        if not found:
            raise ImageNotFound(reference.familiar if reference else text)
        if len(found) > 1:
            raise AmbiguousImage(text)
        return found[0]


def is_id(image: Digest, text: str) -> bool:
    """Whether *text* names *image* by its ID or the beginning of it."""
    prefix = _PREFIX.fullmatch(text)
    return prefix is not None and image.hex.startswith(prefix[1])


def check_tag(reference: Reference) -> None:
    """Invalid for a name that must not be given."""
    if reference.digest is not None:
        raise Invalid("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        raise Invalid("refusing to create an ambiguous tag using digest algorithm as name")


def _references(rows: Mapping[str, NameRecord]) -> Iterator[tuple[Reference, Digest]]:
    """The rows as values; one whose key is damaged is passed over."""
    for key, row in rows.items():
        try:
            yield Reference.parse(key), Digest(row.image)
        except Invalid:
            _LOG.error("the image name %r is damaged", key)
