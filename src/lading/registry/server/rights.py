"""Who may do what with which repository."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from lading.errors import Invalid

ACTIONS = ("pull", "push", "delete")
_PATTERN = re.compile(r"[a-z0-9*._/-]{1,255}")


class InvalidRight(Invalid):
    """Raised for text that grants nothing that can be granted."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"invalid right {text[:120]!r}: {why}")


@dataclass(frozen=True, slots=True)
class Right:
    """*actions* on the repositories that *pattern* fits.

    ``*`` stands for any part of one component of a name, ``**`` for any components.
    """

    actions: frozenset[str]
    pattern: str

    @classmethod
    def parse(cls, text: str) -> Right:
        """Take ``pull,push:team/*``; InvalidRight."""
        words, colon, pattern = text.partition(":")
        actions = frozenset(words.split(","))
        if not colon:
            raise InvalidRight(text, "it must be like pull,push:team/*")
        if not actions <= set(ACTIONS):
            raise InvalidRight(text, f"actions are {', '.join(ACTIONS)}")
        if not _PATTERN.fullmatch(pattern):
            raise InvalidRight(text, "a pattern is a repository name with * and **")
        return cls(actions, pattern)

    def grants(self, action: str, repository: str) -> bool:
        return action in self.actions and bool(_compiled(self.pattern).fullmatch(repository))

    def __str__(self) -> str:
        return ",".join(a for a in ACTIONS if a in self.actions) + f":{self.pattern}"


EVERYTHING = Right(frozenset(ACTIONS), "**")
PULL_EVERYTHING = Right(frozenset({"pull"}), "**")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sent a request; *name* is empty for anybody."""

    name: str
    rights: tuple[Right, ...] = ()
    quota: int | None = None

    def may(self, action: str, repository: str) -> bool:
        return any(right.grants(action, repository) for right in self.rights)

    def narrowed(self, granted: Iterable[Right]) -> Principal:
        """The same, with no more than *granted*, each of which is for one name."""
        kept = (
            Right(frozenset(a for a in right.actions if self.may(a, right.pattern)), right.pattern)
            for right in granted
        )
        return Principal(self.name, tuple(kept), self.quota)


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    meaning = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))
