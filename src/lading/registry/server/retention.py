"""Which tags and manifests may go by a rule: all but the newest, the old, the untagged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lading.errors import NotFound
from lading.oci.digest import Digest
from lading.registry.server.manifests import Manifests
from lading.registry.server.rights import Right
from lading.store.database import Database


@dataclass(frozen=True, slots=True)
class Rule:
    """What goes: tags beyond the newest *keep_last*, and not pushed within *keep_within* seconds.

    With both, a tag goes only when neither keeps it; with neither, no tag goes.
    """

    repositories: str = "**"
    tags: str = "*"
    keep_last: int | None = None
    keep_within: float | None = None
    untagged: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag and when it was pushed."""

    repository: str
    name: str
    digest: Digest
    pushed: float


def expired(rule: Rule, tags: Iterable[Tagged], now: float) -> list[Tagged]:
    """Those of one repository's *tags* that *rule* lets go, oldest first."""
    if rule.keep_last is None and rule.keep_within is None:
        return []
    pattern = re.compile(re.escape(rule.tags).replace(r"\*", ".*"))
    newest = sorted(
        (tag for tag in tags if pattern.fullmatch(tag.name)),
        key=lambda tag: (tag.pushed, tag.name),
        reverse=True,
    )
    beyond = newest[rule.keep_last :] if rule.keep_last is not None else newest
    if rule.keep_within is not None:
        beyond = [tag for tag in beyond if tag.pushed < now - rule.keep_within]
    return beyond[::-1]


class Retention:
    """Applies rules to one registry."""

    def __init__(self, database: Database, manifests: Manifests) -> None:
        self._database, self._manifests = database, manifests

    def apply(self, rule: Rule, now: float, *, dry_run: bool = False) -> list[str]:
        """Remove what *rule* lets go, or only tell: ``repository:tag``, ``repository@digest``."""
        gone: list[str] = []
        for repository in self._repositories(rule):
            tags = expired(rule, self._tags(repository), now)
            gone += [f"{repository}:{tag.name}" for tag in tags]
            loose = self._untagged(repository, tags, now, rule) if rule.untagged else []
            gone += [f"{repository}@{digest}" for digest in loose]
            if not dry_run:
                self._remove(repository, tags, loose)
        return gone

    def _remove(self, repository: str, tags: Sequence[Tagged], loose: Sequence[Digest]) -> None:
        for tag in tags:
            with suppress(NotFound):  # somebody else removed it meanwhile
                self._manifests.untag(repository, tag.name)
        for digest in loose:
            with suppress(NotFound):
                self._manifests.remove(repository, digest)

    def _repositories(self, rule: Rule) -> Iterator[str]:
        fits = Right(frozenset({"delete"}), rule.repositories)
        for (name,) in self._database.query("SELECT DISTINCT repository FROM manifests"):
            if fits.grants("delete", name):
                yield name

    def _tags(self, repository: str) -> list[Tagged]:
        rows = self._database.query(
            "SELECT name, digest, pushed FROM tags WHERE repository = ?", (repository,)
        )
        return [Tagged(repository, name, Digest(digest), pushed) for name, digest, pushed in rows]

    def _untagged(
        self, repository: str, going: Sequence[Tagged], now: float, rule: Rule
    ) -> list[Digest]:
        """Manifests that no tag that stays, no index and no subject leads to."""
        names = {tag.name for tag in going}
        tagged = {str(t.digest) for t in self._tags(repository) if t.name not in names}
        rows = self._database.query(
            "SELECT digest, pushed FROM manifests AS m WHERE repository = ? AND subject = ''"
            " AND NOT EXISTS (SELECT 1 FROM children AS c"
            " WHERE c.repository = m.repository AND c.digest = m.digest) ORDER BY digest",
            (repository,),
        )
        limit = now - (rule.keep_within or 0.0)
        return [Digest(d) for d, pushed in rows if d not in tagged and pushed <= limit]
