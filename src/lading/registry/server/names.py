"""Names of repositories and tags, by the grammar of the distribution specification.

What comes out of here may be compared and stored; it is never joined to a path.
"""

from __future__ import annotations

import re

from lading.errors import Invalid

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_MOST_NAME = 255  # distribution-spec, "Pulling manifests": clients limit host and name to this


class InvalidName(Invalid):
    """Raised for text that cannot name a repository or a tag."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(f"invalid {what}: {text[:300]!r}")


def repository(text: str) -> str:
    """*text* as a repository's name; InvalidName."""
    if len(text) > _MOST_NAME or not _REPOSITORY.fullmatch(text):
        raise InvalidName("repository name", text)
    return text


def tag(text: str) -> str:
    """*text* as a tag; InvalidName."""
    if not _TAG.fullmatch(text):
        raise InvalidName("tag", text)
    return text
