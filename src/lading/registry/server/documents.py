"""What a pushed manifest names: read once, when it comes in, and never written again.

Images, indexes and artifacts are taken, of OCI and of Docker's schema 2.  Fields that the
specifications do not know are let be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument, array, parse, table, text

_WHAT = "manifest"
_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"  # of image-spec 1.1's candidates
_KNOWN = mediatypes.MANIFESTS | mediatypes.INDEXES | {_ARTIFACT}
_ELSEWHERE = ("nondistributable", ".foreign.")  # in the media type of a layer kept elsewhere
_MOST_CHILDREN = 8192


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest's bytes, and what they say about other content."""

    raw: bytes
    digest: Digest
    media_type: str
    blobs: frozenset[Digest]  # that the repository must have
    manifests: frozenset[Digest]  # that it must have, too
    elsewhere: frozenset[Digest] = frozenset()  # that it may have
    subject: Digest | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def children(self) -> frozenset[Digest]:
        """All that must stay while the manifest does."""
        return self.blobs | self.manifests | self.elsewhere

    @classmethod
    def parse(cls, raw: bytes, digest: Digest, content_type: str) -> Document:
        """Take *raw*, sent as *content_type*; InvalidDocument, InvalidDigest."""
        fields = parse(raw, _WHAT)
        media_type = _media_type(fields, content_type)
        if fields.get("schemaVersion") != 2 and media_type != _ARTIFACT:
            raise InvalidDocument(_WHAT, "its schemaVersion is not 2")
        is_index = media_type in mediatypes.INDEXES
        _check_kind(fields, is_index=is_index)
        blobs = [] if is_index else list(_blobs(fields))
        rows = _descriptors(fields, "manifests") if is_index else []
        if len(blobs) + len(rows) > _MOST_CHILDREN:
            raise InvalidDocument(_WHAT, f"it names more than {_MOST_CHILDREN} others")
        elsewhere = {blob.digest for blob in blobs if _is_elsewhere(blob)}
        subject = fields.get("subject")
        return cls(
            raw,
            digest,
            media_type,
            frozenset(blob.digest for blob in blobs) - elsewhere,
            frozenset(row.digest for row in rows),
            frozenset(elsewhere),
            Descriptor.parse(subject, _WHAT).digest if subject is not None else None,
            _artifact_type(fields),
            _annotations(fields),
        )


def _media_type(fields: Mapping[str, Any], content_type: str) -> str:
    inner = text(fields.get("mediaType"), _WHAT, "mediaType")
    outer = content_type.partition(";")[0].strip()
    if inner and outer and inner != outer:
        raise InvalidDocument(_WHAT, f"it is sent as {outer[:100]!r} and says {inner[:100]!r}")
    found = inner or outer
    if found not in _KNOWN:
        raise InvalidDocument(_WHAT, f"its media type is {found[:100]!r}")
    return found


def _check_kind(fields: Mapping[str, Any], *, is_index: bool) -> None:
    """Two readers must not take one document for two things (CVE-2021-41190)."""
    others = ("config", "layers", "fsLayers") if is_index else ("manifests", "fsLayers")
    for other in others:
        if other in fields:
            raise InvalidDocument(_WHAT, f"its media type forbids {other!r}")


def _blobs(fields: Mapping[str, Any]) -> Iterator[Descriptor]:
    if "config" in fields:
        yield Descriptor.parse(fields["config"], _WHAT)
    elif "blobs" not in fields and "artifactType" not in fields:
        raise InvalidDocument(_WHAT, "it has no config")
    yield from _descriptors(fields, "layers")
    yield from _descriptors(fields, "blobs")


def _descriptors(fields: Mapping[str, Any], name: str) -> list[Descriptor]:
    return [Descriptor.parse(row, _WHAT) for row in array(fields.get(name), _WHAT, name)]


def _is_elsewhere(blob: Descriptor) -> bool:
    return any(word in blob.media_type for word in _ELSEWHERE)


def _artifact_type(fields: Mapping[str, Any]) -> str:
    """As the referrers API tells it: an image without one goes by its config's media type."""
    own = text(fields.get("artifactType"), _WHAT, "artifactType")
    config = table(fields.get("config"), _WHAT, "config")
    return own or text(config.get("mediaType"), _WHAT, "mediaType")


def _annotations(fields: Mapping[str, Any]) -> dict[str, str]:
    found = table(fields.get("annotations"), _WHAT, "annotations")
    return {key: text(note, _WHAT, "an annotation") for key, note in found.items()}
