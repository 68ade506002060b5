"""One registry, spoken to: found, logged in to, asked again when it does not answer."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from lading.errors import Denied, Unavailable
from lading.registry import dial, failures
from lading.registry.auth import Authorizer
from lading.registry.credentials import ANONYMOUS, Credentials
from lading.registry.dial import Dialer, Unreachable, Way
from lading.registry.hosts import Endpoint, Registries
from lading.registry.message import Broken, Conversation, Request, Response, origin
from lading.registry.patience import Patience, Told, unheard

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_PING = "/v2/"


class BadRedirect(Denied):
    """Raised where a registry sends us to where we do not go."""

    def __init__(self, host: str, target: str, why: str) -> None:
        super().__init__(f"registry {host} sends us to {target[:200]!r}: {why}")


class Wire:
    """Requests to one endpoint under one login; safe to use from several threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        registries: Registries,
        *,
        credentials: Credentials = ANONYMOUS,
        patience: Patience | None = None,
        on_wait: Told = unheard,
    ) -> None:
        self.endpoint, self._registries, self._credentials = endpoint, registries, credentials
        self.patience = patience or Patience()
        self._on_wait = on_wait
        self._dialer = Dialer(self.patience, registries.certificates, os.environ)
        self._found: tuple[Way, Authorizer] | None = None
        self._lock = threading.Lock()

    @property
    def base(self) -> str:
        """The URL that the registry's paths begin with; it is found out by dialling."""
        return self._way()[0].base

    @property
    def identity_token(self) -> str:
        """What a login got that may be kept instead of the password."""
        return self._way()[1].identity_token

    def ask(self, request: Request, scope: str = "", *, tries: int | None = None) -> Response:
        """The answer, whatever its status; asked again while the registry is of no use.

        Unreachable, Broken, TooManyRequests; Denied where it cannot be logged in to.
        """
        _, authorizer = self._way()
        left = self.patience.tries if tries is None else tries
        for number in range(1, left + 1):
            last = number == left
            try:
                response = self._converse(authorizer.ask(request, scope))
            except Broken:
                if last:
                    raise
                self._pause(number)
                continue
            if response.status == 429:
                self._wait_out(response, last=last)
            elif response.status in (500, 502, 503, 504) and not last:
                response.body.close()
                self._pause(number)
            else:
                return response
        raise Unavailable(f"registry {self.endpoint.authority} was not asked")

    def close(self) -> None:
        self._dialer.close()

    def _way(self) -> tuple[Way, Authorizer]:
        with self._lock:
            if self._found is None:
                way = self._find()
                authorizer = Authorizer(
                    way.base, self._credentials, token_servers=self.endpoint.token_servers
                )
                self._found = way, authorizer
            return self._found

    def _find(self) -> Way:
        """The first way over which the endpoint answers."""
        failure: Unavailable | None = None
        for way in self._ways():
            try:
                response = self._dialer.send(way, Request("GET", way.base + _PING))
            except Unavailable as error:
                failure = failure or error
                continue
            response.body.close()
            if response.status == 400 and way.base.startswith("http:"):
                failure = failure or Unreachable(self.endpoint.authority, "it does not speak HTTP")
                continue  # what TLS servers answer to plain HTTP
            return way
        raise failure or Unreachable(self.endpoint.authority, "there is no way to it")

    def _ways(self) -> Iterator[Way]:
        endpoint, prefix = self.endpoint, self.endpoint.prefix
        secure = Way(f"https://{endpoint.authority}{prefix}")
        plain = Way(f"http://{endpoint.authority}{prefix}")
        if endpoint.scheme == "http":
            yield plain
        elif endpoint.insecure:
            yield Way(secure.base, verify=False)
            yield from () if endpoint.scheme else (plain,)
        elif self._dialer.proxy(secure.base) or not self._is_near():
            yield secure
        else:
            networks = self._registries.networks
            trusted = bool(self._registries.certificates(endpoint.authority).roots)
            if not endpoint.scheme and not trusted:
                yield Way(plain.base, networks=networks)
            yield Way(secure.base, verify=trusted, networks=networks)

    def _is_near(self) -> bool:
        """Whether the address that answers is one that needs no TLS."""
        ports = [self.endpoint.port] if self.endpoint.port else [443, 80]
        failure: Unavailable | None = None
        for port in ports:
            try:
                address = dial.address_of(self.endpoint.host, port, self.patience.connect)
            except Unreachable as error:
                failure = failure or error
            else:
                return dial.is_in(address, self._registries.networks)
        assert failure is not None
        raise failure

    def _converse(self, conversation: Conversation) -> Response:
        """Carry out a conversation; its result."""
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._follow(request))
        except StopIteration as done:
            response: Response = done.value
            return response

    def _follow(self, request: Request) -> Response:
        """The answer to *request*, where it leads to elsewhere the answer there."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._dialer.send(self._way_to(request.url), request)
            target = response.header("location")
            is_read = request.method in ("GET", "HEAD")
            if not (is_read and response.status in _REDIRECTS and target):
                return response
            response.body.close()
            target = urljoin(request.url, target)
            if origin(target) != origin(request.url):
                request = request.without_header("Authorization")
            request = Request(request.method, target, request.headers)
        raise BadRedirect(self.endpoint.authority, request.url, "too many redirects")

    def _way_to(self, url: str) -> Way:
        """How *url* may be reached, the registry's own or one that it names; BadRedirect."""
        assert self._found is not None
        home, _ = self._found
        if origin(url) == origin(home.base):
            return home
        parts = urlsplit(url)
        host = self.endpoint.authority
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise BadRedirect(host, url, "this is no address of a registry")
        is_plain = home.base.startswith("http:")
        if parts.scheme == "http" and not is_plain:
            raise BadRedirect(host, url, "it is not encrypted")
        base = f"{parts.scheme}://{parts.netloc}"
        return Way(base, networks=home.networks if parts.scheme == "http" else None,
                   outside=home.networks is None)  # fmt: skip

    def _wait_out(self, response: Response, *, last: bool) -> None:
        """Wait as long as a busy registry asks for; TooManyRequests where that is too long."""
        host = self.endpoint.authority
        seconds = _seconds(response.header("retry-after"))
        told = str(failures.of_response(response))
        told = "" if told.startswith("unexpected status") else told
        if last or (seconds or 0) > self.patience.longest_pause:
            raise failures.TooManyRequests(host, seconds, told)
        wait = self.patience.pause if seconds is None else seconds
        self._on_wait(f"{host} limits requests: waiting {wait:.0f} seconds")
        time.sleep(wait)

    def _pause(self, number: int) -> None:
        longest = min(self.patience.longest_pause, self.patience.pause * 2 ** (number - 1))
        time.sleep(longest * random.uniform(0.5, 1.0))  # so that several do not come at once


def _seconds(text: str) -> float | None:
    """``Retry-After`` as seconds from now (RFC 9110, 10.2.3)."""
    from email.utils import parsedate_to_datetime

    if text.isdecimal():
        return float(text[:9])
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None
