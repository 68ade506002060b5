"""Image names as they come in two parameters, ``repo`` and ``tag`` (pure)."""

from __future__ import annotations

from lading.errors import Invalid
from lading.oci.reference import Reference


class InvalidTag(Invalid):
    """Raised for a name that cannot be given to an image."""


def repo_and_tag(repo: str, tag: str) -> Reference | None:
    """The name that *repo*, which may hold a tag, and *tag* make together; None without a repo."""
    if not repo:
        return None
    named = Reference.parse(repo)
    if named.digest is not None:
        raise InvalidTag("a digest cannot be given as a name: it follows from the content")
    return Reference.parse(f"{named.repository}:{tag}") if tag else named
