"""What names a blob: its type, digest and size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument, table, text

_MOST_SIZE = 1 << 62


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content (image-spec descriptor.md); *size* in bytes as stored."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: object, what: str) -> Descriptor:
        """Take the JSON object *value*; InvalidDocument, InvalidDigest."""
        fields = table(value, what, "descriptor")
        size = fields.get("size")
        if type(size) is not int or not 0 <= size < _MOST_SIZE:
            raise InvalidDocument(what, f"a descriptor's size is {size!r}"[:120])
        annotations = table(fields.get("annotations"), what, "annotations")
        return cls(
            text(fields.get("mediaType"), what, "mediaType"),
            Digest.parse(fields.get("digest")),
            size,
            {key: text(note, what, "annotation") for key, note in annotations.items()},
        )

    def document(self) -> dict[str, Any]:
        """The JSON object, fields in the specification's order."""
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found
