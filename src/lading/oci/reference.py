"""Names of images, as people type them and as they are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.errors import Invalid
from lading.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_MOST_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?")
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


class InvalidReference(Invalid):
    """Raised for text that cannot name an image; the words are Docker's."""

    def __init__(self, text: str, why: str = "invalid reference format") -> None:
        super().__init__(f"{why}: {text[:300]!r}" if text else why)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """``domain/path:tag@digest``, complete: ``nginx`` is ``docker.io/library/nginx:latest``."""

    domain: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a familiar or a complete name; a name alone means ``:latest``."""
        name, at, digest = text.partition("@")
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        domain, path = _split(head + slash + last, text)
        if (colon and not _TAG.fullmatch(tag)) or (at and not digest):
            raise InvalidReference(text)
        if not colon and not at:
            tag = DEFAULT_TAG
        return cls(domain, path, tag, Digest.parse(digest) if at else None)

    @property
    def repository(self) -> str:
        """Domain and path, complete."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people know it: ``nginx``, ``ghcr.io/a/b``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        return self.path.removeprefix("library/")

    @property
    def familiar(self) -> str:
        """As Docker prints it: name, and tag or digest."""
        return self.familiar_name + self._ending()

    def __str__(self) -> str:
        return self.repository + self._ending()

    def _ending(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")


def _split(name: str, text: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    domain, path = (first, rest) if slash and is_domain else (DEFAULT_DOMAIN, name)
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if _IMAGE_ID.fullmatch(path):
        raise InvalidReference(text, "cannot specify 64-byte hexadecimal strings as a name")
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        raise InvalidReference(text, "invalid reference format: repository name must be lowercase")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path):
        raise InvalidReference(text)
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if len(domain) + 1 + len(path) > _MOST_NAME:
        raise InvalidReference(text, f"repository name is longer than {_MOST_NAME} characters")
    return domain, path
