"""Find the handler for a method and a path.

A pattern's ``{id}`` is one segment of the path, ``{name...}`` one or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lading.api.call import Handler

_HOLE = re.compile(r"\{(\w+)(\.\.\.)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table: a method, a pattern, and who answers."""

    method: str
    pattern: str
    handler: Handler


class Router:
    """Routes, found by method and first segment; among several the first listed wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            key = (route.method, _first(route.pattern))
            self._routes.setdefault(key, []).append((_compile(route.pattern), route))

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route for *path* (without its version), and what its holes hold."""
        for pattern, route in self._routes.get((method, _first(path)), ()):
            if found := pattern.fullmatch(path):
                return route, found.groupdict()
        return None


def _first(path: str) -> str:
    return path.lstrip("/").partition("/")[0] if path.startswith("/") else ""


def _compile(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for hole in _HOLE.finditer(pattern):
        parts.append(re.escape(pattern[end : hole.start()]))
        parts.append(f"(?P<{hole[1]}>.+)" if hole[2] else f"(?P<{hole[1]}>[^/]+)")
        end = hole.end()
    return re.compile("".join(parts) + re.escape(pattern[end:]), re.DOTALL)
