"""Images and the containers that stand on them: what may be removed, and what may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lading.container.roster import Roster
from lading.image.library import Gone, Library
from lading.image.removal import User
from lading.oci.digest import Digest

_BEING_MADE = "a new one"


class Images:
    """Remove images that nobody needs."""

    def __init__(self, library: Library, roster: Roster, is_claimed: Callable[[str], bool]) -> None:
        """*is_claimed* tells whether a container is being made from an image, by its ID."""
        self._library, self._roster, self._is_claimed = library, roster, is_claimed

    def remove(self, ref: str, *, force: bool = False) -> Gone:
        """Remove a name, and the image with its last one; ImageNotFound, ImageInUse."""
        return self._library.remove(ref, force=force, users=self.users)

    def prune(self, filters: Mapping[str, Sequence[str]]) -> tuple[Gone, int]:
        """Remove those that no container stands on; what went, and the bytes that freed."""
        return self._library.prune(filters, self.users)

    def users(self, image: Digest) -> list[User]:
        """The containers that stand on *image*, those being made included."""
        containers = [slot.container for slot in self._roster.slots()]
        found = [User(c.id, c.running) for c in containers if c.image_id == str(image)]
        return [*found, *([User(_BEING_MADE, True)] if self._is_claimed(str(image)) else [])]
