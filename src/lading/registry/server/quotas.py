"""How much a repository and a user may keep.

A repository is charged for each blob it has a link to, a user for those he was the first
to bring into a repository: what is shared is charged to each, so that nobody's limit
depends on what others remove.
"""

from __future__ import annotations

from lading.errors import Denied
from lading.registry.server.rights import Principal
from lading.store.database import Database


class QuotaExceeded(Denied):
    """Raised where more would be kept than is allowed."""

    def __init__(self, whose: str, quota: int) -> None:
        super().__init__(f"quota exceeded: {whose} may keep {quota} bytes")


class Quotas:
    """The limits of one registry, and what counts against them."""

    def __init__(self, database: Database, repository_quota: int | None = None) -> None:
        self._database = database
        self._repository_quota = repository_quota

    def left(self, repository: str, principal: Principal) -> int | None:
        """Bytes that may still come into *repository* from *principal*; None for any."""
        found: list[int] = []
        if self._repository_quota is not None:
            found.append(self._repository_quota - self.of_repository(repository))
        if principal.quota is not None:
            found.append(principal.quota - self.of_user(principal.name))
        return max(0, min(found)) if found else None

    def check(self, repository: str, principal: Principal, coming: int) -> None:
        """QuotaExceeded unless *coming* bytes more may be kept."""
        most = self._repository_quota
        if most is not None and self.of_repository(repository) + coming > most:
            raise QuotaExceeded(f"repository {repository}", most)
        most = principal.quota
        if most is not None and self.of_user(principal.name) + coming > most:
            raise QuotaExceeded(f"user {principal.name}", most)

    def of_repository(self, repository: str) -> int:
        """Bytes that the repository is charged for."""
        return self._sum("links.repository = ?", repository)

    def of_user(self, name: str) -> int:
        """Bytes that the user is charged for."""
        return self._sum("links.owner = ?", name)

    def _sum(self, where: str, value: str) -> int:
        rows = self._database.query(
            "SELECT COALESCE(SUM(blobs.size), 0) FROM links"
            f" JOIN blobs ON blobs.digest = links.digest WHERE {where}",
            (value,),
        )
        return int(rows[0][0])
