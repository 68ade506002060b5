"""What people are shown of a repository and of an image, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lading.errors import Corrupt, Invalid, NotFound
from lading.oci import mediatypes
from lading.oci.config import ImageConfig
from lading.oci.digest import Digest
from lading.oci.documents import parse
from lading.registry.server.holdings import Holdings
from lading.registry.server.manifests import Entry

_MOST_CONFIG = 4 * 1024 * 1024
_MOST_SHARED = 8
Readable = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Repository:
    """One line of the list."""

    name: str
    tags: int
    size: int


@dataclass(frozen=True, slots=True)
class Tag:
    """One line of a repository's page."""

    name: str
    entry: Entry
    size: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what made it, how large it is, and what else has it."""

    digest: Digest
    size: int
    made_by: str
    shared: Sequence[str]


@dataclass(frozen=True, slots=True)
class Child:
    """One manifest of an index."""

    digest: str
    platform: str
    size: int


@dataclass(frozen=True, slots=True)
class Portrait:
    """One manifest in full."""

    entry: Entry
    tags: Sequence[str]
    size: int
    layers: Sequence[Layer] = ()
    steps: Sequence[str] = ()  # that made no layer
    children: Sequence[Child] = ()
    config: str = ""


class Gallery:
    """Looks things up for the pages."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    def repositories(
        self, readable: Readable, search: str, after: str
    ) -> tuple[list[Repository], bool]:
        """Those whose name has *search* in it, and whether there are more."""
        page = self._holdings.listings.repositories(
            lambda name: search in name and readable(name), after=after, most=100
        )
        return [self._repository(name) for name in page.names], page.more

    def tags(self, repository: str, after: str) -> tuple[list[Tag], bool]:
        """The repository's tags, and whether there are more; RepositoryUnknown."""
        page = self._holdings.listings.tags(repository, after=after, most=100)
        return [self._tag(repository, name) for name in page.names], page.more

    def portrait(self, repository: str, reference: Digest | str, readable: Readable) -> Portrait:
        """The manifest; ManifestUnknown, DamagedBlob."""
        manifests = self._holdings.manifests
        entry = manifests.find(repository, reference)
        fields = parse(manifests.read(entry), "manifest")
        tags = manifests.tags_of(repository, entry.digest)
        size = self._weight(repository, entry.digest)
        if entry.media_type in mediatypes.INDEXES:
            return Portrait(
                entry, tags, size, children=[_child(row) for row in fields["manifests"]]
            )
        config = self._config(repository, fields)
        made = (
            [step.created_by for step in config.history if not step.empty_layer] if config else []
        )
        layers = [
            Layer(
                Digest(row["digest"]),
                row["size"],
                made[number] if number < len(made) else "",
                self._shared(Digest(row["digest"]), repository, entry, readable),
            )
            for number, row in enumerate(fields.get("layers") or [])
        ]
        steps = [step.created_by for step in config.history if step.empty_layer] if config else []
        text = json.dumps(config.document, indent=2, ensure_ascii=False) if config else ""
        return Portrait(entry, tags, size, layers, steps, config=text)

    def _repository(self, name: str) -> Repository:
        (count,) = self._holdings.database.query(
            "SELECT COUNT(*) FROM tags WHERE repository = ?", (name,)
        )[0]
        return Repository(name, int(count), self._holdings.quotas.of_repository(name))

    def _tag(self, repository: str, name: str) -> Tag:
        entry = self._holdings.manifests.find(repository, name)
        return Tag(name, entry, self._weight(repository, entry.digest))

    def _weight(self, repository: str, digest: Digest) -> int:
        """Bytes of all that the manifest leads to, itself included."""
        (found,) = self._holdings.database.query(
            """
            WITH RECURSIVE below (digest) AS (
                SELECT ? UNION SELECT c.digest FROM children AS c JOIN below
                ON c.manifest = below.digest WHERE c.repository = ?
            ) SELECT COALESCE(SUM(b.size), 0) FROM blobs AS b JOIN below USING (digest)
            """,
            (str(digest), repository),
        )[0]
        return int(found)

    def _config(self, repository: str, fields: dict[str, Any]) -> ImageConfig | None:
        """The image's config; None for what is no image, and for what cannot be read."""
        row = fields.get("config") or {}
        images = (mediatypes.OCI_CONFIG, mediatypes.DOCKER_CONFIG)
        if row.get("mediaType") not in images or row["size"] > _MOST_CONFIG:
            return None
        try:
            with self._holdings.blobs.open(repository, Digest(row["digest"])) as file:
                return ImageConfig.parse(file.read())
        except (NotFound, Invalid, Corrupt):
            return None

    def _shared(
        self, layer: Digest, repository: str, entry: Entry, readable: Readable
    ) -> list[str]:
        """Other images that have the layer, of those that may be read."""
        rows = self._holdings.database.query(
            """
            SELECT c.repository, COALESCE(t.name, ''), c.manifest FROM children AS c
            LEFT JOIN tags AS t ON t.repository = c.repository AND t.digest = c.manifest
            WHERE c.digest = ? AND NOT (c.repository = ? AND c.manifest = ?)
            ORDER BY c.repository, t.name LIMIT 200
            """,
            (str(layer), repository, str(entry.digest)),
        )
        return list(_names(rows, readable))[:_MOST_SHARED]


def _names(rows: Sequence[tuple[Any, ...]], readable: Readable) -> Iterator[str]:
    for repository, tag, manifest in rows:
        if readable(repository):
            yield f"{repository}:{tag}" if tag else f"{repository}@{Digest(manifest).short}"


def _child(row: dict[str, Any]) -> Child:
    platform = row.get("platform") or {}
    words = (str(platform.get(key) or "") for key in ("os", "architecture", "variant"))
    return Child(row["digest"], "/".join(word for word in words if word), row["size"])
