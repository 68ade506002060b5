"""Which of Docker's paths are answered, and which tests ask them: from the routes and the tests.

A test asks a path where it calls ``client.get("/containers/…")`` or one of its like, or lists
the request as ``("GET", "/containers/…")``.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from compat.differences import DIFFERENCES
from lading.api.router import Route, Router
from lading.api.routes import ROUTES

TESTS = Path(__file__).parent
_MODULES = ("integration/test_api_*.py", "compat/*.py", "unit/api/*.py")  # those about the API
_BOTH = "both_engines"  # the requests of test_differential
_VERBS = {"get": "GET", "post": "POST", "delete": "DELETE", "hijack": "POST", "ws_connect": "GET"}
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD"})
_ABSENT = {
    "no_swarm": "as an engine that is in no Swarm: 503",
    "not_in_swarm": "as an engine that is in no Swarm: 503",
    "no_swarm_here": "refused: there is no Swarm mode",
    "no_plugins": "as an engine without plugins: an empty list",
    "no_such_plugin": "as an engine without plugins: 404",
    "no_plugins_here": "refused: there are no plugins",
    "no_session": "refused: there is no BuildKit",
}
_PARTLY: Mapping[tuple[str, str], str] = {
    ("DELETE", "/containers/{id}"): "`link` is refused: there are no legacy links",
    ("POST", "/containers/create"): "some options are refused by name: docs/commands.md",
    ("POST", "/build"): "`version=2` (BuildKit) is refused",
}


def page() -> str:
    """docs/api.md whole."""
    return "\n".join([*_head(), *_rows(), "", *_own(), "", *_differences()]) + "\n"


def endpoints() -> list[tuple[str, str]]:
    """Docker's own list: methods and paths."""
    lines = (TESTS / "engine_api.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return [(method, path) for method, path in pairs]


def route_of(method: str, path: str) -> Route | None:
    """Who answers it; holes in *path* may hold anything."""
    found = _router().find(method, path.replace("{", "").replace("}", ""))
    return found[0] if found else None


def askers(route: Route) -> list[str]:
    """The test modules that ask a route."""
    return sorted(_asked().get((route.method, route.pattern), ()))


def state(route: Route | None) -> str:
    if route is None:
        return "missing"
    absent = _ABSENT.get(route.handler.__name__)
    part = _PARTLY.get((route.method, route.pattern))
    return absent or (f"partly: {part}" if part else "works")


def _head() -> list[str]:
    return [
        "# The Engine API",
        "",
        "Docker's Engine API, versions 1.24 to 1.50, on lading's socket. This page is made by",
        "`scripts/api` from the routes and the tests; a test keeps it true. Swarm and plugins are",
        "answered as by an engine that has none.",
        "",
        "## Docker's paths",
        "",
        "| method | path | state | tests |",
        "|---|---|---|---|",
    ]


def _rows() -> Iterator[str]:
    for method, path in endpoints():
        route = route_of(method, path)
        named = ", ".join(f"`{name}`" for name in askers(route)[:3]) if route else ""
        yield f"| {method} | `{path}` | {state(route)} | {named} |"


def _own() -> Iterator[str]:
    yield "## lading's own paths"
    yield ""
    yield "| method | path | tests |"
    yield "|---|---|---|"
    for route in ROUTES:
        if route.pattern.startswith("/lading/"):
            named = ", ".join(f"`{name}`" for name in askers(route)[:3])
            yield f"| {route.method} | `{route.pattern}` | {named} |"


def _differences() -> Iterator[str]:
    yield "## Differences from Docker Engine"
    yield ""
    yield "The same requests go to lading and to Docker Engine 20.10 (`tests/compat`): status and"
    yield "shape of the answers are the same, but for these."
    yield ""
    yield "| where | what differs | why |"
    yield "|---|---|---|"
    for each in DIFFERENCES:
        yield f"| {each.where} | {each.what} | {each.why} |"


@lru_cache(maxsize=1)
def _router() -> Router:
    return Router(ROUTES)


@lru_cache(maxsize=1)
def _asked() -> dict[tuple[str, str], set[str]]:
    """For each route, the test modules that ask it."""
    asked: dict[tuple[str, str], set[str]] = {}
    for module in sorted(path for pattern in _MODULES for path in TESTS.glob(pattern)):
        name = "test_differential" if module.stem == _BOTH else module.stem
        for method, path in _requests(module):
            route = route_of(method, path.partition("?")[0])
            if route:
                asked.setdefault((route.method, route.pattern), set()).add(name)
    return asked


def _requests(module: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            yield from _called(node)
        elif isinstance(node, ast.Tuple):
            yield from _paired(node.elts)


def _called(node: ast.Call) -> Iterator[tuple[str, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    method = _VERBS.get(name)
    if method and node.args:
        yield from ((method, path) for path in _path(node.args[0]))
    yield from _paired(node.args)


def _paired(nodes: list[ast.expr]) -> Iterator[tuple[str, str]]:
    for one, other in itertools.pairwise(nodes):
        if isinstance(one, ast.Constant) and one.value in _METHODS:
            yield from ((str(one.value), path) for path in _path(other))


def _path(node: ast.expr) -> Iterator[str]:
    """The path that an expression spells, with ``x`` where something is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.Constant) else "x" for v in node.values]
        text = "".join(map(str, parts))
    else:
        return
    if text.startswith("/"):
        yield text


if __name__ == "__main__":
    sys.stdout.write(page())
