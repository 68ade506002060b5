"""Which images a list request wants (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lading.api.filters import Filters
from lading.api.times import parse_moment
from lading.image.summary import ImageSummary

NAMES = frozenset({"before", "dangling", "label", "reference", "since", "until"})


def chosen(
    rows: Sequence[ImageSummary],
    filters: Filters,
    *,
    now_ns: int,
    before: Sequence[int] = (),
    since: Sequence[int] = (),
) -> list[ImageSummary]:
    """Those of *rows* that pass, the newest first.

    *before* and *since* are the times at which the images of those filters were made.  A
    ``reference`` also leaves out the names that it does not match.
    """
    dangling = filters.flag("dangling")
    until = [parse_moment(text, now_ns) for text in filters.all("until")]
    named = [_matching(row, filters.all("reference")) for row in rows]
    passed = [
        row
        for row in named
        if row is not None
        and (dangling is None or row.is_dangling == dangling)
        and filters.labels(row.labels)
        and all(row.created < limit for limit in (*before, *until))
        and all(row.created > limit for limit in since)
    ]
    return sorted(passed, key=lambda row: row.created, reverse=True)


def _matching(row: ImageSummary, patterns: Sequence[str]) -> ImageSummary | None:
    """The row with the names that match; None when none does."""
    if not patterns:
        return row
    tags = tuple(name for name in row.tags if _matches(name, patterns))
    digests = tuple(name for name in row.digests if _matches(name, patterns))
    return replace(row, tags=tags, digests=digests) if tags or digests else None


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """By the whole familiar name, or by the name without its tag or digest."""
    bare = name.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    bare = head + slash + last.partition(":")[0]
    return any(_compiled(each).fullmatch(text) for each in patterns for text in (name, bare))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Go's path.Match: a star or a question mark never stands for a slash."""
    words = {"*": "[^/]*", "?": "[^/]"}
    squeezed = re.sub(r"\*+", "*", pattern)
    return re.compile("".join(words.get(char) or re.escape(char) for char in squeezed))
