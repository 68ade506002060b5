"""What there is: repositories and tags, in pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lading.errors import Invalid, NotFound
from lading.store.database import Database

MOST = 1000  # in one page, whatever is asked for (CVE-2023-2253)
_EVERY = "SELECT repository FROM links UNION SELECT repository FROM manifests"


class RepositoryUnknown(NotFound):
    """Raised for a repository that holds nothing."""

    def __init__(self, repository: str) -> None:
        super().__init__(f"repository name not known to registry: {repository}")


class InvalidPageSize(Invalid):
    """Raised for an ``n`` that is not a number of things."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid number of results requested: {text[:40]!r}")


@dataclass(frozen=True, slots=True)
class Page:
    """Some names in order, and whether more follow."""

    names: list[str]
    more: bool


def page_size(text: str | None) -> int | None:
    """What ``n`` asks for, no more than `MOST`; None where it is not given."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise InvalidPageSize(text)
    return min(int(text), MOST)


class Listings:
    """Lists of repositories and of their tags."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tags(self, repository: str, *, after: str = "", most: int = MOST) -> Page:
        """Tags that come after *after*, in the order of their bytes; RepositoryUnknown."""
        rows = self._database.query(
            "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
            (repository, after, most + 1),
        )
        if not rows and not self._exists(repository):
            raise RepositoryUnknown(repository)
        return Page([name for (name,) in rows[:most]], len(rows) > most)

    def repositories(
        self, readable: Callable[[str], bool], *, after: str = "", most: int = MOST
    ) -> Page:
        """Repositories that come after *after*, of those that *readable* lets through."""
        rows = self._database.query(
            f"SELECT repository FROM ({_EVERY}) WHERE repository > ? ORDER BY repository",
            (after,),
        )
        found = [name for (name,) in rows if readable(name)]
        return Page(found[:most], len(found) > most)

    def _exists(self, repository: str) -> bool:
        found = self._database.query(
            f"SELECT 1 FROM ({_EVERY}) WHERE repository = ? LIMIT 1", (repository,)
        )
        return bool(found)
