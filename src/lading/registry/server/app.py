"""Serve HTTP: find the endpoint, find out who asks, check the right, answer, and write it down."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from aiohttp import web

from lading.errors import Denied, Invalid
from lading.registry.server import answers, routing
from lading.registry.server.audit import Audit
from lading.registry.server.call import Call
from lading.registry.server.gate import Gate, Unauthenticated, WrongPassword
from lading.registry.server.holdings import Holdings
from lading.registry.server.metrics import Metrics
from lading.registry.server.pages import Pages
from lading.registry.server.rights import Principal
from lading.registry.server.token_calls import BASIC, TokenDesk
from lading.registry.server.tokens import InvalidToken

_LOG = logging.getLogger(__name__)
_MOST_FIELDS = 100
_SAFE = ("GET", "HEAD", "OPTIONS")


class Forbidden(Denied):
    """Raised for what the caller may not do; it does not say whether the thing is there."""

    def __init__(self) -> None:
        super().__init__("requested access to the resource is denied")


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests is made of."""

    holdings: Holdings
    gate: Gate
    threads: ThreadPoolExecutor
    audit: Audit
    metrics: Metrics
    pages: Pages


class App:
    """The handler that aiohttp calls for every request."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tokens = TokenDesk(parts.gate, parts.threads)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        began = time.monotonic()
        path, _, query = request.raw_path.partition("?")
        endpoint = "other"
        try:
            path = unquote(path, errors="replace")
            if path.startswith("/v2"):
                response = await self._registry(request, path, query)
                endpoint = "registry"
            else:
                response = await self._beside(request, path, query)
        except ConnectionError:
            raise
        except Exception as error:
            response = self._failed(request, error)
        self._parts.metrics.answered(
            endpoint, request.method, response.status, time.monotonic() - began
        )
        return response

    async def _registry(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        endpoint, params = routing.find(request.method, path)
        _refuse_browsers(request)
        principal = await self._principal(request, endpoint.action, params.get("name", ""))
        call = Call(
            *(request, self._parts.holdings, self._parts.threads, principal, params),
            _fields(query),
        )
        self._authorize(request, principal, endpoint.action, params.get("name", ""))
        await _go_on(request)
        response = await endpoint.handler(call)
        if request.method not in _SAFE and response.status < 300:
            self._parts.audit.note(
                endpoint.name,
                principal.name,
                request.remote or "",
                **{**params, **call.notes},
            )
        return response

    async def _beside(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """What is not the specification's: tokens, metrics, and pages for people."""
        fields = _fields(query)
        if path == "/token":
            return await self._tokens.answer(request, fields)
        principal = await self._principal(request, "", "", basic=True)
        if not principal.name and not self._parts.gate.anybody.rights:
            raise Unauthenticated(BASIC)
        call = Call(
            request, self._parts.holdings, self._parts.threads, principal, {"path": path}, fields
        )
        if path == "/metrics":
            return await self._parts.metrics.answer(call)
        return await self._parts.pages.answer(call)

    async def _principal(
        self, request: web.BaseRequest, action: str, repository: str, *, basic: bool = False
    ) -> Principal:
        gate = self._parts.gate
        authorization = request.headers.get("Authorization")
        if gate.open_to_all or authorization is None:
            return gate.anybody
        call = Call(request, self._parts.holdings, self._parts.threads, gate.anybody, {}, {})
        try:
            return await call.run(gate.principal, authorization, request.remote or "")
        except WrongPassword as error:
            self._parts.audit.note("login failed", error.name, request.remote or "")
            challenge = BASIC if basic else self._challenge(request, action, repository)
            raise Unauthenticated(challenge, str(error)) from None
        except InvalidToken as error:
            challenge = self._challenge(request, action, repository) + ',error="invalid_token"'
            raise Unauthenticated(challenge, str(error)) from None

    def _authorize(
        self, request: web.BaseRequest, principal: Principal, action: str, repository: str
    ) -> None:
        shown = self._parts.gate.open_to_all or "Authorization" in request.headers
        if principal.may(action, repository) if action else shown:
            return
        bearer = request.headers.get("Authorization", "").lower().startswith("bearer")
        if not principal.name or bearer:
            # A client with a token may get another one, for this scope.
            raise Unauthenticated(self._challenge(request, action, repository))
        self._parts.audit.note(
            "denied", principal.name, request.remote or "", name=repository, action=action
        )
        raise Forbidden

    def _challenge(self, request: web.BaseRequest, action: str, repository: str) -> str:
        return self._tokens.challenge(request, action, repository)

    def _failed(self, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        if request.writer.output_size > 0:
            # The head has gone: only a broken connection can still tell the client.
            _LOG.warning("%s %s broke off: %s", request.method, request.path, error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(str(error))
        response = answers.failure(error)
        if not request.content.is_eof() and request.body_exists:
            response.force_close()  # what follows is a body that nobody wants
        return response


def _refuse_browsers(request: web.BaseRequest) -> None:
    """A page from elsewhere, in the browser of somebody who may, must change nothing here."""
    if request.method not in _SAFE and "Origin" in request.headers:
        raise Forbidden


async def _go_on(request: web.BaseRequest) -> None:
    """Answer ``Expect: 100-continue``, now that it is known who asks."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


class BadQuery(Invalid):
    """Raised for a query that cannot be read."""


def _fields(query: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadQuery("bad query") from None
