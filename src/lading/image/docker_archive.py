"""Docker's own archives: manifest.json names a config and layers, each a member of the tar.

https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lading.errors import Corrupt, NotFound
from lading.image import catalogue, validate
from lading.image.image import Image
from lading.image.intake import Intake
from lading.image.layers import Layer
from lading.image.library import Library
from lading.oci.config import ImageConfig
from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument, array, parse_list, table, text
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference
from lading.store.leases import Lease

_WHAT = "manifest.json"
_MOST_IMAGES = 4096


@dataclass(frozen=True, slots=True)
class DockerImage:
    """An image without a manifest: its config, the members that hold its layers, bottom first."""

    config: bytes
    layers: tuple[str, ...]
    names: tuple[Reference, ...] = ()
    parent: Digest | None = None

    @property
    def id(self) -> Digest:
        return Digest.of(self.config)

    def bring(
        self, intake: Intake, library: Library, lease: Lease, names: Sequence[Reference]
    ) -> Callable[[], Image]:
        """Check layers against the config; an image that is here keeps its manifest."""
        config = ImageConfig.parse(self.config)
        validate.check_config(config, len(self.layers))
        layers: Sequence[Layer] = [intake.layer(name) for name in self.layers]
        validate.check_layers(config, [layer.diff_id for layer in layers])
        manifest = None
        kept = _kept(library, self.id, lease)
        if kept is not None:
            manifest, layers = kept
        return lambda: library.add(
            self.config, layers, lease, manifest=manifest, references=names, parent=self.parent
        )


def images(intake: Intake) -> list[DockerImage]:
    """What manifest.json tells of; InvalidDocument, InvalidReference, MissingMember."""
    rows = parse_list(intake.document(_WHAT), _WHAT)
    if len(rows) > _MOST_IMAGES:
        raise InvalidDocument(_WHAT, f"{len(rows)} images")
    return [_image(intake, table(row, _WHAT, "an image")) for row in rows]


def tag(name: str) -> Reference:
    """The name that an archive gives; InvalidReference, Invalid."""
    reference = Reference.parse(name)
    catalogue.check_tag(reference)
    return reference


def _image(intake: Intake, row: dict[str, Any]) -> DockerImage:
    tags = array(row.get("RepoTags"), _WHAT, "RepoTags")
    layers = array(row.get("Layers"), _WHAT, "Layers")
    parent = text(row.get("Parent"), _WHAT, "Parent")
    names = tuple(tag(text(name, _WHAT, "a tag")) for name in tags)
    config = text(row.get("Config"), _WHAT, "Config")
    if not config:
        raise InvalidDocument(_WHAT, "an image has no config")
    return DockerImage(
        intake.document(config),
        tuple(text(layer, _WHAT, "a layer") for layer in layers),
        names,
        Digest.parse(parent) if parent else None,
    )


def _kept(library: Library, image: Digest, lease: Lease) -> tuple[Manifest, Sequence[Layer]] | None:
    """The image as it is here already, if it is whole."""
    try:
        found = library.image(image)
        return found.manifest, library.kept(found, lease)
    except (NotFound, Corrupt):
        return None
