"""``.dockerignore``: which paths of a context are left out, by Docker's rules (pure).

The last pattern that matches a path or a directory above it decides; ``!`` keeps.  So all that
a directory has to hand down to its entries is the number of its last match.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lading.build.ignore_patterns import Kind, Matcher, Pattern, compiled, is_regular
from lading.errors import Invalid

NO_MATCH = -1
_BOM = b"\xef\xbb\xbf"
_MOST_BYTES = 16 << 20
_MOST_WILD = 10_000
_MOST_FOLLOWED = 100


class InvalidIgnore(Invalid):
    """Raised for a pattern that is not one."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Patterns in their order, in groups of one sign: *excludes_group* says which.

    Names, directories (``x/**``) and tails (``**/x``) are looked up, whatever their number;
    *wild* are the others, the last group first.
    """

    excludes_group: tuple[bool, ...]
    names: dict[str, int]
    directories: dict[str, int]
    tails: dict[str, int]
    depths: tuple[int, ...]
    wild: tuple[tuple[int, Matcher], ...]
    leading: frozenset[str]
    open_below: frozenset[str]

    @classmethod
    def parse(cls, raw: bytes) -> Ignore:
        """The patterns of a file; comments and blank lines are none; InvalidIgnore."""
        if len(raw) > _MOST_BYTES:
            raise InvalidIgnore(f".dockerignore is larger than {_MOST_BYTES} bytes")
        text = raw.removeprefix(_BOM).decode(errors="surrogateescape")
        return cls.of(line for line in text.split("\n") if not line.startswith("#"))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Ignore:
        """The patterns themselves; InvalidIgnore."""
        return _joined(list(_grouped(patterns)))

    @property
    def has_exceptions(self) -> bool:
        """Whether a pattern keeps what another leaves out."""
        return not all(self.excludes_group)

    def excludes(self, path: str) -> bool:
        """Whether *path* is left out; the directories above it are looked at too."""
        match, at = NO_MATCH, 0
        while at >= 0:
            at = path.find("/", at + 1)
            match = self.match(path if at < 0 else path[:at], match)
        return self.excluded(match)

    def match(self, path: str, parent: int = NO_MATCH) -> int:
        """The last match of *path*, in a directory whose own was *parent*."""
        directory, _, _ = path.rpartition("/")
        best = max(parent, self.names.get(path, -1), self.directories.get(directory, -1))
        for depth in self.depths:
            tail = "/".join(path.rsplit("/", depth)[-depth:])
            best = max(best, self.tails.get(tail, -1))
        for group, matcher in self.wild:
            if group <= best:
                break
            if matcher(path):
                return group
        return best

    def excluded(self, match: int) -> bool:
        """Whether a path with this last match is left out."""
        return match > NO_MATCH and self.excludes_group[match]

    def prunes(self, path: str, match: int) -> bool:
        """Whether the directory *path* need not be entered: nothing in it can be kept."""
        if not self.excluded(match) or path in self.leading or "" in self.open_below:
            return False
        return not any(above in self.open_below for above in _upwards(path))


def _grouped(patterns: Iterable[str]) -> Iterator[tuple[bool, Pattern]]:
    """Each pattern with its sign."""
    for written in patterns:
        text = written.strip()
        keeps = text.startswith("!")
        text = text.removeprefix("!").strip()
        if keeps and not text:
            raise InvalidIgnore('illegal exclusion pattern: "!"')
        if not text:
            continue
        cleaned = posixpath.normpath(text).lstrip("/")
        if cleaned in ("", "."):
            continue
        try:
            yield not keeps, Pattern.parse(cleaned)
        except ValueError:
            raise InvalidIgnore(f"syntax error in pattern: {written.strip()[:200]!r}") from None


def _joined(patterns: list[tuple[bool, Pattern]]) -> Ignore:
    signs: list[bool] = []
    known: dict[Kind, dict[str, int]] = {kind: {} for kind in Kind}
    wild: dict[int, list[Pattern]] = {}
    leading, open_below = set[str](), set[str]()
    for excludes, pattern in patterns:
        if not signs or signs[-1] != excludes:
            signs.append(excludes)
        group = len(signs) - 1
        if pattern.kind is Kind.WILD:
            wild.setdefault(group, []).append(pattern)
        else:
            known[pattern.kind][pattern.text] = group
        if not excludes:
            leading |= set(_upwards(pattern.literal_directory))
            open_below |= {pattern.literal_directory} if pattern.kind is not Kind.NAME else set()
    _check(wild.values())
    return Ignore(
        excludes_group=tuple(signs),
        names=known[Kind.NAME],
        directories=known[Kind.DIRECTORY],
        tails=known[Kind.TAIL],
        depths=tuple({tail.count("/") + 1 for tail in known[Kind.TAIL]}),
        wild=tuple((group, compiled(wild[group])) for group in sorted(wild, reverse=True)),
        leading=frozenset(leading),
        open_below=frozenset(open_below),
    )


def _check(groups: Iterable[list[Pattern]]) -> None:
    wild = [pattern for group in groups for pattern in group]
    followed = [pattern for pattern in wild if not is_regular(pattern.tokens)]
    if len(wild) > _MOST_WILD or len(followed) > _MOST_FOLLOWED:
        raise InvalidIgnore(
            f".dockerignore holds more than {_MOST_WILD} patterns with wildcards, "
            f"or {_MOST_FOLLOWED} with ** within a name"
        )


def _upwards(path: str) -> Iterator[str]:
    """*path* and every directory above it."""
    while path:
        yield path
        path = path.rpartition("/")[0]
