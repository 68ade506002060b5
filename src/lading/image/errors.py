"""What can be wrong with the name of an image, in Docker's words."""

from __future__ import annotations

from lading.errors import Conflict, Corrupt, Invalid, NotFound
from lading.oci.digest import Digest


class ImageNotFound(NotFound):
    """Raised where no image answers to a name or ID."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such image: {name}")


class AmbiguousImage(Invalid):
    """Raised for the beginning of several image IDs."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"multiple IDs found with provided prefix: {prefix}")


class DamagedImage(Corrupt):
    """Raised where an image is recorded, and part of it is missing or damaged."""

    def __init__(self, image: Digest, why: str) -> None:
        super().__init__(f"image {image.short} is damaged: {why}: load or pull it again")
        self.image = image
        self.why = why


class ImageInUse(Conflict):
    """Raised where an image may not go; *hard* when force does not help either."""

    def __init__(self, message: str, *, hard: bool = False) -> None:
        super().__init__(f"conflict: {message}")
        self.hard = hard
