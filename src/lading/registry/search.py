"""Look for repositories by words: where a registry has a search, by it, else in its catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lading.errors import Invalid, LadingError, Unsupported
from lading.oci.reference import DEFAULT_DOMAIN
from lading.registry.message import Request
from lading.registry.remote import Repository

if TYPE_CHECKING:
    from lading.registry.wire import Wire  # which needs urllib3, for those alone who dial

INDEX = "index.docker.io"  # where docker.io is searched
_MOST = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One repository that was found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


class NoSearch(Unsupported):
    """Raised where a registry offers neither a search nor a catalog."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"registry {host} offers no search: {why}")


def parse(term: str) -> tuple[str, str]:
    """The registry and the words of ``[host[:port]/]words``; Invalid for none."""
    if not term:
        raise Invalid("a term to search for is wanted")
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return INDEX, term


def search(wire: Wire, words: str, most: int) -> list[Result]:
    """At most *most* results; NoSearch, Unreachable, Denied."""
    if not 1 <= most <= _MOST:
        raise Invalid(f"limit {most} is outside the range of [1, {_MOST}]")
    query = urlencode({"q": words, "n": most})
    response = wire.ask(Request("GET", f"{wire.base}/v1/search?{query}"))
    if response.status == 200:
        rows = response.document().get("results")
        found = (_result(row) for row in rows if isinstance(row, dict)) if rows else iter(())
        return list(islice(found, most))
    response.body.close()
    return list(islice(_in_catalog(wire, words), most))


def _in_catalog(wire: Wire, words: str) -> Iterator[Result]:
    try:
        for name in Repository(wire, "").catalog():
            if words.lower() in name:
                yield Result(name)
    except LadingError as error:
        raise NoSearch(wire.endpoint.authority, str(error)) from None


def _result(row: dict[str, Any]) -> Result:
    stars = row.get("star_count")
    return Result(
        str(row.get("name") or ""),
        str(row.get("description") or ""),
        stars if isinstance(stars, int) else 0,
        row.get("is_official") is True,
        row.get("is_automated") is True,
    )


def domain_of(name: str) -> str:
    """The registry that *name* (as in ``login``) means: a host, or the URL of one."""
    bare = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if bare in ("", INDEX, DEFAULT_DOMAIN, "registry-1.docker.io"):
        return DEFAULT_DOMAIN
    return bare
