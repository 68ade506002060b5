"""Serve HTTP: take each request to its handler, and each error to its answer.

aiohttp parses; the routing is our own, for every path may carry a version and Docker's
errors have their own shape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import parse_qs, unquote

from aiohttp import web

from lading.api import replies
from lading.api.call import Call, Edge
from lading.api.query import Query
from lading.api.router import Route, Router
from lading.api.versions import split
from lading.errors import Invalid

_LOG = logging.getLogger(__name__)
_LONGEST_LINE = 64 * 1024
_BODY_AHEAD = 1024 * 1024  # read before the handler asks: less is stop and go for a large body
_MOST_FIELDS = 1000


class BadRequest(Invalid):
    """Raised for a request line that cannot be read."""


class Dispatcher:
    """The handler that aiohttp calls for every request."""

    def __init__(self, edge: Edge, routes: Iterable[Route]) -> None:
        self._edge = edge
        self._router = Router(routes)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            call, route = self._find(request)
        except Invalid as error:
            return replies.failure(error)
        if route is None:
            return replies.refusal(404, "page not found")
        try:
            return await route.handler(call)
        except ConnectionError:
            raise
        except Exception as error:
            return self._failed(call, error)

    def _find(self, request: web.BaseRequest) -> tuple[Call, Route | None]:
        path, _, query = request.raw_path.partition("?")
        version, path = split(unquote(path, errors="replace"))
        found = self._router.find(request.method, path)
        route, params = found or (None, {})
        return Call(request, self._edge, version, params, Query(_fields(query))), route

    def _failed(self, call: Call, error: Exception) -> web.StreamResponse:
        if not call.began:
            return replies.failure(error)
        # The head has gone: only a broken connection can still tell the client.
        _LOG.warning("%s %s broke off: %s", call.request.method, call.request.path, error)
        if call.request.transport is not None:
            call.request.transport.abort()
        raise ConnectionResetError(str(error))


def _fields(query: str) -> dict[str, list[str]]:
    """The query's values; bytes that are not UTF-8 come as surrogates."""
    try:
        return parse_qs(
            query,
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise BadRequest(f"bad query: {error}") from None


def make_server(edge: Edge, routes: Iterable[Route]) -> web.Server:
    """The protocol factory for `asyncio.AbstractEventLoop.create_unix_server`.

    A handler is cancelled when its client goes.
    """
    return web.Server(
        Dispatcher(edge, routes),
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
        read_bufsize=_BODY_AHEAD,
        loop=asyncio.get_running_loop(),
    )
