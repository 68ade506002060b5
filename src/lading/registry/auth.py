"""Log in to a registry while asking it something: Basic, Bearer and OAuth2, as conversations.

A secret goes to the registry that it is for, and to the token server that the registry
names only where that is its own: https://distribution.github.io/distribution/spec/auth/
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from lading.errors import Denied
from lading.registry import failures
from lading.registry.challenge import Challenge, challenges
from lading.registry.credentials import ANONYMOUS, Credentials
from lading.registry.message import Content, Conversation, Request, Response, origin

_CLIENT = "lading"
_LEAST_SECONDS = 10  # a token that ends sooner is not begun with
_USUAL_SECONDS = 60  # what a token lasts where nothing is said
_KNOWN_REALMS = {"registry-1.docker.io": "auth.docker.io"}

Clock = Callable[[], float]
_Fields = Sequence[tuple[str, str]]


class NoCredentials(Denied):
    """Raised where a registry wants a login and there is none."""

    def __init__(self, registry: str, why: str = "no basic auth credentials") -> None:
        super().__init__(f"unauthorized: authentication required: {registry}: {why}")


class UntrustedRealm(Denied):
    """Raised where a registry sends its logins to a server that may not have them."""

    def __init__(self, registry: str, realm: str) -> None:
        super().__init__(
            f"{registry} wants logins to go to {realm[:200]}, which is another server: "
            "name it in token-servers of that registry to allow this"
        )


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    ends: float


class Authorizer:
    """What we know about logging in to one registry; safe to use from several threads."""

    def __init__(
        self,
        base: str,
        credentials: Credentials = ANONYMOUS,
        *,
        token_servers: frozenset[str] = frozenset(),
        clock: Clock = time.monotonic,
    ) -> None:
        """*base* is the registry's own URL; *token_servers* (host:port) may have its logins."""
        self._base, self._credentials, self._clock = base, credentials, clock
        self._token_servers = token_servers
        self._tokens: dict[str, _Token] = {}
        self._basic = False
        self.identity_token = ""  # where a token server gave one for a login

    def ask(self, request: Request, scope: str) -> Conversation:
        """Ask; if challenged, log in and ask again."""
        known = self._known(scope)
        response = yield request.with_header("Authorization", known) if known else request
        if response.status != 401 or origin(response.url) != origin(self._base):
            return response
        told = response.header("www-authenticate")
        refusal = failures.of_response(response)
        self._tokens.pop(scope, None)
        header = yield from self._log_in(challenges(told), scope, refused=refusal)
        if header == known and not header.startswith("Bearer"):
            raise refusal
        return (yield request.with_header("Authorization", header))

    def _known(self, scope: str) -> str:
        if self._basic:
            return self._basic_header()
        token = self._tokens.get(scope)
        if token is not None and token.ends - self._clock() > _LEAST_SECONDS:
            return f"Bearer {token.text}"
        return ""

    def _log_in(
        self, offered: list[Challenge], scope: str, *, refused: failures.Refusal
    ) -> Generator[Request, Response, str]:
        for challenge in offered:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                token = yield from self._token(challenge.parameters, scope)
                self._tokens[scope] = token
                return f"Bearer {token.text}"
            if challenge.scheme == "basic":
                if not (self._credentials.username or self._credentials.password):
                    raise NoCredentials(self._host)
                self._basic = True
                return self._basic_header()
        raise refused

    def _token(self, asked: Mapping[str, str], scope: str) -> Generator[Request, Response, _Token]:
        if self._credentials.registry_token:
            return _Token(self._credentials.registry_token, self._clock() + _USUAL_SECONDS)
        realm, service = asked["realm"], asked.get("service", "")
        scopes = dict.fromkeys(f"{scope} {asked.get('scope', '')}".split())
        wanted = [("service", service), *(("scope", each) for each in scopes)]
        self._check(realm)
        if self._credentials.identity_token:
            request = self._refresh(realm, wanted)
        else:
            request = self._grant(realm, wanted)
        response = yield request
        if response.status != 200:
            raise failures.of_response(response)
        return self._taken(response, realm)

    def _grant(self, realm: str, wanted: _Fields) -> Request:
        fields = [(name, value) for name, value in wanted if value]
        headers = {}
        if self._credentials.username:
            fields.append(("account", self._credentials.username))
            headers["Authorization"] = self._basic_header()
            if len(wanted) == 1:  # no scope: a login
                fields += [("offline_token", "true"), ("client_id", _CLIENT)]
        joint = "&" if urlsplit(realm).query else "?"
        url = f"{realm}{joint}{urlencode(fields)}" if fields else realm
        return Request("GET", url, headers)

    def _refresh(self, realm: str, wanted: _Fields) -> Request:
        scopes = " ".join(value for name, value in wanted if name == "scope")
        fields = {
            "grant_type": "refresh_token",
            "client_id": _CLIENT,
            "refresh_token": self._credentials.identity_token,
            "service": dict(wanted)["service"],
            **({"scope": scopes} if scopes else {}),
        }
        form = urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", realm, headers, Content(len(form), lambda: io.BytesIO(form)))

    def _taken(self, response: Response, realm: str) -> _Token:
        found = response.document()
        text = found.get("token") or found.get("access_token")
        if not isinstance(text, str) or not text or not text.isprintable() or " " in text:
            raise Denied(f"authorization server {realm[:200]} did not include a token")
        seconds = found.get("expires_in")
        lasts = seconds if isinstance(seconds, int) and seconds > 0 else _USUAL_SECONDS
        refresh = found.get("refresh_token")
        if isinstance(refresh, str):
            self.identity_token = refresh
        return _Token(text, self._clock() + max(lasts, _USUAL_SECONDS))

    def _check(self, realm: str) -> None:
        """UntrustedRealm where *realm* must not be asked, or not with what we have."""
        if origin(realm) == origin(self._base):
            return
        parts = urlsplit(realm)
        netloc = parts.netloc.lower()
        if parts.scheme in ("http", "https") and netloc in self._token_servers:
            return
        known = _is_named(parts.hostname or "") and parts.scheme == "https"
        if not known or "@" in netloc:
            raise UntrustedRealm(self._host, realm)
        if self._credentials and not self._is_over(parts.hostname or ""):
            raise UntrustedRealm(self._host, realm)

    def _is_over(self, host: str) -> bool:
        """Whether *host* rules over the registry's name anyway, or is known to be its own."""
        mine = (urlsplit(self._base).hostname or "").lower()
        host = host.lower()
        return _KNOWN_REALMS.get(mine) == host or (
            "." in host and (mine == host or mine.endswith(f".{host}"))
        )

    def _basic_header(self) -> str:
        pair = f"{self._credentials.username}:{self._credentials.password}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    @property
    def _host(self) -> str:
        return urlsplit(self._base).netloc


def _is_named(host: str) -> bool:
    """Whether it is a name of the domain name system rather than an address or nothing."""
    last = host.rpartition(".")[2]
    return bool(host) and ":" not in host and not last.isdigit() and last[:2].lower() != "0x"
