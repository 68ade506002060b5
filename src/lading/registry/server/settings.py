"""What the user decided about this registry, and what must hold before it starts."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lading.errors import Denied, Invalid
from lading.registry.server.uploads import GRACE

_HOUR = 3600.0


class InvalidAddress(Invalid):
    """Raised for text that is no address to listen on."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid address {text!r}: it must be like 127.0.0.1:5000 or [::]:5000")


class UsersNeeded(Denied):
    """Raised where a registry would be open to others than this machine."""

    def __init__(self, address: str, root: Path) -> None:
        super().__init__(
            f"{address} is not a loopback address, so users are needed: add one with"
            f" 'lading registry user add --root {root} NAME'"
        )


class TlsNeeded(Denied):
    """Raised where passwords would travel in the clear."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"passwords would travel to {address} in the clear: give --tls-cert and --tls-key,"
            " or --plain-http behind a proxy that speaks TLS"
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; *host* is an IP address or ``localhost``."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Take ``HOST:PORT``; InvalidAddress."""
        host, colon, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise InvalidAddress(text)
        try:
            found = "127.0.0.1" if bare == "localhost" else str(ipaddress.ip_address(bare))
        except ValueError:
            raise InvalidAddress(text) from None
        return cls(found, int(port))

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where a registry keeps its things, where it listens, and whom it lets in."""

    root: Path
    addresses: Sequence[Address]
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_http: bool = False
    htpasswd: Path | None = None
    anonymous_pull: bool = False
    login: bool = False  # ask for users on loopback, too
    repository_quota: int | None = None
    service: str = "lading-registry"
    collect_every: float = 60.0
    grace: float = GRACE
    upload_expiry: float = 24 * _HOUR
    scrub_every: float = 7 * 24 * _HOUR
    debug: bool = False

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can come."""
        return all(address.is_loopback for address in self.addresses)

    def open_to_all(self, *, has_users: bool) -> bool:
        """Whether no login is needed; UsersNeeded, TlsNeeded where it must not start."""
        wants_login = self.login or self.anonymous_pull or self.htpasswd is not None
        far = next((str(a) for a in self.addresses if not a.is_loopback), "")
        if far and not has_users:
            raise UsersNeeded(far, self.root)
        if far and self.tls_cert is None and not self.plain_http:
            raise TlsNeeded(far)
        return self.is_local and not wants_login and not has_users
