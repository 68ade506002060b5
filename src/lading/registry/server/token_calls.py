"""Where clients get tokens: GET with Basic, or POST as OAuth2 has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

from aiohttp import web

from lading.errors import Invalid
from lading.registry.server import answers, names, receiving
from lading.registry.server.gate import Gate, Unauthenticated, WrongPassword
from lading.registry.server.rights import ACTIONS, Principal, Right
from lading.registry.server.tokens import LIFETIME, InvalidToken

BASIC = 'Basic realm="lading registry"'
_MOST_FORM = 64 * 1024
_MOST_SCOPES = 64


class BadTokenRequest(Invalid):
    """Raised for a request of a token that makes no sense."""


class TokenDesk:
    """Hands out tokens for what a principal asks, as far as he may."""

    def __init__(self, gate: Gate, threads: ThreadPoolExecutor) -> None:
        self._gate, self._threads = gate, threads

    def challenge(self, request: web.BaseRequest, action: str, repository: str) -> str:
        """What ``WWW-Authenticate`` says: where to get which token."""
        parts = [
            f'Bearer realm="{request.scheme}://{_host(request)}/token"',
            f'service="{self._gate.tokens.service}"',
        ]
        if repository:
            actions = {"push": "pull,push"}.get(action, action)
            parts.append(f'scope="repository:{repository}:{actions}"')
        return ",".join(parts)

    async def answer(
        self, request: web.BaseRequest, query: Mapping[str, list[str]]
    ) -> web.StreamResponse:
        """GET or POST /token."""
        fields = query
        if request.method == "POST":
            raw = await receiving.whole(request, _MOST_FORM)
            fields = parse_qs(raw.decode("utf-8", "replace"), max_num_fields=_MOST_SCOPES)
        loop = asyncio.get_running_loop()
        try:
            principal = await loop.run_in_executor(self._threads, self._who, request, fields)
        except (WrongPassword, InvalidToken) as error:
            raise Unauthenticated(BASIC, str(error)) from None
        if not principal.name and not principal.rights:
            raise Unauthenticated(BASIC)
        rights = list(_granted(principal, fields.get("scope", [])))
        token = self._gate.tokens.sign(principal.name, rights)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return answers.encoded(
            {"token": token, "access_token": token, "expires_in": LIFETIME, "issued_at": now},
            Cache_Control="no-store",
        )

    def _who(self, request: web.BaseRequest, fields: Mapping[str, list[str]]) -> Principal:
        address = request.remote or ""
        grant = fields.get("grant_type", [""])[0]
        if request.method != "POST" or not grant:
            return self._gate.principal(request.headers.get("Authorization"), address)
        if grant != "password":
            raise BadTokenRequest("only the grant type password is known")
        name, password = (fields.get(key, [""])[0] for key in ("username", "password"))
        return self._gate.login(name, password, address)


def _granted(principal: Principal, scopes: Iterable[str]) -> Iterator[Right]:
    """What of *scopes* the principal may; Docker asks for several in one, with spaces."""
    words = [word for scope in scopes for word in scope.split()]
    for word in words[:_MOST_SCOPES]:
        kind, _, rest = word.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind.partition("(")[0] != "repository" or not name:
            continue
        asked = set(ACTIONS if actions == "*" else actions.split(",")) & set(ACTIONS)
        allowed = frozenset(action for action in asked if principal.may(action, _name(name)))
        if allowed:
            yield Right(allowed, name)


def _name(text: str) -> str:
    return names.repository(text)


def _host(request: web.BaseRequest) -> str:
    """The name by which the client knows this server, if it can stand in a header."""
    host = request.headers.get("Host", "")
    good = host and all(letter.isalnum() or letter in ".-:[]" for letter in host)
    return host if good and host.isascii() else "localhost"
