"""The endpoints that list: the version check, tags and repositories."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from lading.registry.server import answers
from lading.registry.server.call import Call
from lading.registry.server.listings import MOST, Page, page_size


async def version(call: Call) -> web.StreamResponse:
    """GET /v2/: yes, this is a registry."""
    return answers.encoded({})


async def tags(call: Call) -> web.StreamResponse:
    """GET of a repository's tags, in pages of ``n`` after ``last``."""
    most = page_size(call.asked("n"))
    page = await call.run(
        call.holdings.listings.tags,
        call.repository,
        after=call.asked("last") or "",
        most=MOST if most is None else most,
    )
    return _listed(call, {"name": call.repository, "tags": page.names}, page, most)


async def catalog(call: Call) -> web.StreamResponse:
    """GET of the repositories that the caller may pull from."""
    most = page_size(call.asked("n"))
    page = await call.run(
        call.holdings.listings.repositories,
        lambda name: call.principal.may("pull", name),
        after=call.asked("last") or "",
        most=MOST if most is None else most,
    )
    return _listed(call, {"repositories": page.names}, page, most)


def _listed(call: Call, content: object, page: Page, most: int | None) -> web.StreamResponse:
    response = answers.encoded(content)
    if page.more and page.names:
        path = call.request.raw_path.partition("?")[0]
        query = urlencode({"n": most or MOST, "last": page.names[-1]})
        response.headers["Link"] = f'<{path}?{query}>; rel="next"'
    return response
