"""Files that ADD fetches: by http and https alone, never from addresses that mean this host's own.

Each address is looked up once and that very answer connected to, so that a name cannot point
elsewhere between the check and its use; a redirection is checked like the first address.
"""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import ipaddress
import os
import posixpath
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from lading.errors import Denied, Invalid, Unavailable

_SCHEMES = ("http://", "https://")
_PIECE = 256 * 1024
_MOST_REDIRECTS = 10
_MOST_BYTES = 16 << 30
_SECONDS = 60.0
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_REDIRECTS = (301, 302, 303, 307, 308)
# Where clouds tell a machine its secrets, beside the link-local networks.
_METADATA = frozenset(
    ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)


class AddressRefused(Denied):
    """Raised for an address that nothing is to be fetched from."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"refused to fetch from {host} ({address}): a link-local address")


class FetchFailed(Unavailable):
    """Raised where a file cannot be had."""

    def __init__(self, address: str, why: object) -> None:
        super().__init__(f"failed to fetch {address}: {why}")


class WrongChecksum(Invalid):
    """Raised where a fetched file is not what was announced."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"digest mismatch: expected {wanted}, got {found}")


def is_address(source: str) -> bool:
    """Whether a source is to be fetched."""
    return source.lower().startswith(_SCHEMES)


def name_of(address: str, destination: str) -> str:
    """What the fetched file is called: by its address; Invalid where that says nothing."""
    name = posixpath.basename(unquote(urlsplit(address).path))
    if name in ("", ".", "..") or "\0" in name:
        if destination.endswith("/"):
            raise Invalid(f"cannot determine filename for source {address}")
        name = "file"
    return name


def fetch(
    address: str, target: Path, *, checksum: str = "", check: Callable[[], None] = lambda: None
) -> None:
    """Write what is at *address* to *target*, 0600, as old as the server says.

    AddressRefused, FetchFailed, WrongChecksum; *check* is called now and then.
    """
    if checksum and not _CHECKSUM.fullmatch(checksum):
        raise Invalid(f"invalid checksum {checksum[:100]!r}: expected sha256:<64 hex digits>")
    try:
        connection, answer = _answer(address)
        try:
            found = _written(answer, target, check)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(address, error) from None
    if checksum and found != checksum:
        raise WrongChecksum(checksum, found)
    moment = _modified(answer)
    os.utime(target, (moment, moment))


def _answer(address: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """The answer with the file, redirections followed."""
    for _ in range(_MOST_REDIRECTS):
        if not is_address(address):
            raise FetchFailed(address, "only http and https are fetched from")
        parts = urlsplit(address)
        connection = _connected(parts.scheme, parts.hostname or "", parts.port)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        connection.request("GET", path, headers={"Host": host, "User-Agent": "lading"})
        answer = connection.getresponse()
        if answer.status == 200:
            return connection, answer
        onward = answer.headers.get("Location", "")
        connection.close()
        if answer.status not in _REDIRECTS or not onward:
            raise FetchFailed(address, f"invalid response status {answer.status}")
        address = urljoin(address, onward)
    raise FetchFailed(address, f"more than {_MOST_REDIRECTS} redirections")


def _connected(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """A connection to one of the host's addresses that may be fetched from; AddressRefused."""
    port = port or (443 if scheme == "https" else 80)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, place in found:
        _check(host, str(place[0]))
    connected = socket.create_connection((str(found[0][4][0]), port), timeout=_SECONDS)
    if scheme == "https":
        context = ssl.create_default_context()
        connected = context.wrap_socket(connected, server_hostname=host)
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    connection.sock = connected
    return connection


def _check(host: str, text: str) -> None:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified or mapped in _METADATA:
        raise AddressRefused(host, text)


def _written(answer: http.client.HTTPResponse, target: Path, check: Callable[[], None]) -> str:
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(target, flags, 0o600), "wb") as out:
        while piece := answer.read(_PIECE):
            check()
            size += len(piece)
            if size > _MOST_BYTES:
                raise OSError(f"more than {_MOST_BYTES} bytes")
            digest.update(piece)
            out.write(piece)
    if answer.length:
        raise OSError("the file broke off")
    return f"sha256:{digest.hexdigest()}"


def _modified(answer: http.client.HTTPResponse) -> float:
    try:
        moment = email.utils.parsedate_to_datetime(answer.headers.get("Last-Modified", ""))
    except (TypeError, ValueError):
        return 0.0
    return max(moment.timestamp(), 0.0)
