"""What may go: a pure walk over a graph of digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lading.oci.digest import Digest


def reachable(
    roots: Iterable[Digest], children: Callable[[Digest], Iterable[Digest]]
) -> set[Digest]:
    """Everything that *roots* name, directly or not, themselves included."""
    seen: set[Digest] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        if digest not in seen:
            seen.add(digest)
            waiting.extend(children(digest))
    return seen
