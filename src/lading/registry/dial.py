"""Connections to registries: which address may be reached in which way, and requests over them.

Plain HTTP and unverified certificates are allowed by the address that was really dialled,
after the connection stands and before anything is said over it: names prove nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lading import __version__
from lading.errors import Denied, Unavailable
from lading.registry.hosts import Certificates, Network
from lading.registry.message import Broken, Request, Response
from lading.registry.patience import Patience

_BLOCK = 256 * 1024  # bytes of a body sent at once
_AGENT = f"lading/{__version__}"
_POOL = 8

Check = Callable[[str], None]


class Unreachable(Unavailable):
    """Raised where nobody answers at a registry's address."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"cannot reach registry {host}: {why}")


class ForbiddenAddress(Denied):
    """Raised where a name leads to an address that may not be spoken to in this way."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one server is reached.

    *networks* are the only ones that it may be in; *outside* means not on this very host.
    """

    base: str
    verify: bool = True
    networks: tuple[Network, ...] | None = None
    outside: bool = False

    def check(self, address: str) -> None:
        """ForbiddenAddress unless the dialled *address* is one of those it may have."""
        ip = _plain(address)
        host = urlsplit(self.base).hostname
        if self.networks is not None and not any(ip in net for net in self.networks):
            raise ForbiddenAddress(
                f"{host} leads to {address} now, which may not be spoken to without TLS"
            )
        if self.outside and (ip.is_loopback or ip.is_link_local or ip.is_unspecified):
            raise ForbiddenAddress(f"{host} leads to {address}, where no registry may send us")


def address_of(host: str, port: int, seconds: float) -> str:
    """Dial *host*, and say which address answered; Unreachable."""
    try:
        with socket.create_connection((host, port), seconds) as connection:
            return str(connection.getpeername()[0])
    except OSError as error:
        raise Unreachable(f"{host}:{port}", _why(error)) from None


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether *address* lies in one of the *networks*."""
    ip = _plain(address)
    return any(ip in network for network in networks)


class Dialer:
    """Connections kept for further requests; safe to use from several threads."""

    def __init__(
        self,
        patience: Patience,
        certificates: Callable[[str], Certificates],
        environment: Mapping[str, str],
    ) -> None:
        self._patience, self._certificates = patience, certificates
        self._proxies = getproxies_environment() if environment else {}
        self._lock = threading.Lock()
        self._managers: dict[Way, urllib3.PoolManager] = {}

    def proxy(self, url: str) -> str:
        """The proxy that the environment names for *url*; empty for none."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host == "localhost" or _is_loopback(host) or proxy_bypass(parts.netloc):
            return ""
        return self._proxies.get(parts.scheme, "")

    def send(self, way: Way, request: Request) -> Response:
        """The head of the answer, redirects as they are; Unreachable, Broken, ForbiddenAddress."""
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **request.headers}
        body: Any = None
        if request.content is not None:
            headers["Content-Length"] = str(request.content.size)
            body = request.content.open()
        try:
            found = self._pool(way).urlopen(
                request.method, request.url, body=body, headers=headers,
                redirect=False, preload_content=False, decode_content=False,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            raise _translated(urlsplit(request.url).netloc, error) from None
        finally:
            if body is not None:
                body.close()
        answer = cast(urllib3.HTTPResponse, found)
        names = {name.lower(): answer.headers[name] for name in answer.headers}
        return Response(answer.status, names, _Body(answer), request.url)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()

    def _pool(self, way: Way) -> urllib3.PoolManager:
        with self._lock:
            if way not in self._managers:
                self._managers[way] = self._make(way)
            return self._managers[way]

    def _make(self, way: Way) -> urllib3.PoolManager:
        patience = self._patience
        options: dict[str, Any] = {
            "maxsize": _POOL,
            "retries": False,
            "timeout": urllib3.Timeout(connect=patience.connect, read=patience.read),
            "blocksize": _BLOCK,
        }
        if way.base.startswith("https"):
            authority = urlsplit(way.base).netloc
            options["ssl_context"] = _context(self._certificates(authority), verify=way.verify)
            options |= {} if way.verify else {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        proxy = self.proxy(way.base)
        if proxy:
            return urllib3.ProxyManager(proxy, **options)
        manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = _pools(way.check)
        return manager


class _Body:
    """An answer's body, its failures translated."""

    def __init__(self, answer: urllib3.HTTPResponse) -> None:
        self._answer = answer
        self._ended = False

    def read(self, size: int, /) -> bytes:
        try:
            piece = self._answer.read1(size)  # what there is: a trickle must be noticed
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            raise Broken(f"the connection broke: {_why(error)}") from None
        if not piece:
            self._ended = True
            self._answer.release_conn()
        return piece

    def close(self) -> None:
        if not self._ended:
            self._answer.close()
            self._answer.release_conn()


def _pools(check: Check) -> dict[str, Any]:
    """Pools whose connections are checked before anything is said over them."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            _checked(self, check)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            _checked(self, check)
            self.is_verified = True  # whether it is was decided by the way, on its address

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _checked(connection: HTTPConnection, check: Check) -> None:
    assert connection.sock is not None
    try:
        check(str(connection.sock.getpeername()[0]))
    except ForbiddenAddress:
        connection.close()
        raise


def _context(found: Certificates, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        for root in found.roots:
            context.load_verify_locations(root)
        for certificate, key in found.pairs:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(f"certificates in certs.d cannot be used: {error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _translated(host: str, error: Exception) -> Unavailable:
    """Unreachable where nothing was said yet, Broken where the answer did not come."""
    reached = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)
    if isinstance(error, reached):
        return Broken(f"registry {host} broke the connection: {_why(error)}")
    return Unreachable(host, _why(error))


def _why(error: BaseException) -> str:
    """The reason at the bottom of *error*, in few words."""
    inner: BaseException | None = getattr(error, "reason", None)
    if isinstance(inner, BaseException):
        return _why(inner)
    if isinstance(error, urllib3.exceptions.NameResolutionError | socket.gaierror):
        return "no such host"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    causes = [arg for arg in error.args if isinstance(arg, BaseException)]
    if causes:
        return _why(causes[-1])
    if isinstance(error, urllib3.exceptions.NewConnectionError) and error.__cause__:
        return _why(error.__cause__)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error) or type(error).__name__)[:200]


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that is meant: IPv4 may come dressed as IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_loopback(host: str) -> bool:
    try:
        return _plain(host).is_loopback
    except ValueError:
        return False
