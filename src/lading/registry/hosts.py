"""Where registries are and how they may be spoken to, as this host's files say.

``insecure-registries`` and ``registry-mirrors`` of Docker's ``daemon.json``, certificates in
``certs.d``, and ``registries.toml`` of our own, which has mirrors for any registry.
"""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from lading.errors import Invalid
from lading.oci.reference import DEFAULT_DOMAIN
from lading.registry.credentials import InvalidConfig

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

HUB_HOST = "registry-1.docker.io"
DAEMON_FILES = (Path("/etc/docker/daemon.json"), Path("/etc/lading/daemon.json"))
REGISTRIES_FILE = Path("/etc/lading/registries.toml")
CERTIFICATES = (Path("/etc/docker/certs.d"), Path("/etc/lading/certs.d"))
LOOPBACK: tuple[Network, ...] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)


class InvalidMirror(Invalid):
    """Raised for a mirror that is not the URL of a registry."""

    def __init__(self, text: object) -> None:
        super().__init__(f"invalid mirror: {str(text)[:200]!r}: it must be http(s)://host[:port]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that answers for a registry.

    *scheme* is empty where it is to be found out.  *insecure* ones may be spoken to without
    verified certificates, and in plain HTTP.  *token_servers* may have its logins.
    """

    authority: str
    scheme: str = ""
    prefix: str = ""
    insecure: bool = False
    mirror: bool = False
    token_servers: frozenset[str] = frozenset()

    @property
    def host(self) -> str:
        """The name or address alone, without brackets."""
        return urlsplit(f"//{self.authority}").hostname or ""

    @property
    def port(self) -> int | None:
        return urlsplit(f"//{self.authority}").port


@dataclass(frozen=True, slots=True)
class Certificates:
    """What ``certs.d`` has for one registry: roots, and pairs of client certificate and key."""

    roots: tuple[Path, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()


@dataclass(frozen=True, slots=True)
class Registries:
    """What is configured about registries; *networks* hold those that need no TLS."""

    insecure: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = LOOPBACK
    mirrors: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    token_servers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    certificate_folders: tuple[Path, ...] = CERTIFICATES

    def home(self, domain: str) -> Endpoint:
        """The registry itself; *domain* is that of a reference."""
        authority = HUB_HOST if domain == DEFAULT_DOMAIN else domain
        allowed = self.token_servers.get(domain, frozenset())
        return Endpoint(authority, insecure=self._is_insecure(authority), token_servers=allowed)

    def endpoints(self, domain: str) -> tuple[Endpoint, ...]:
        """Who may be asked for content, in order: mirrors, then the registry itself."""
        return (*self.mirrors.get(domain, ()), self.home(domain))

    def certificates(self, authority: str) -> Certificates:
        """What lies in the folder named after that host and port."""
        roots: list[Path] = []
        pairs: list[tuple[Path, Path]] = []
        if authority.strip(".") == "" or "/" in authority:
            return Certificates()
        for folder in self.certificate_folders:
            roots += sorted((folder / authority).glob("*.crt"))
            certs = sorted((folder / authority).glob("*.cert"))
            pairs += [(cert, cert.with_suffix(".key")) for cert in certs]
        return Certificates(tuple(roots), tuple(pairs))

    def _is_insecure(self, authority: str) -> bool:
        return authority in self.insecure


def load(
    *,
    insecure: Iterable[str] = (),
    mirrors: Iterable[str] = (),
    daemon_files: Sequence[Path] = DAEMON_FILES,
    registries_file: Path = REGISTRIES_FILE,
    certificate_folders: tuple[Path, ...] = CERTIFICATES,
) -> Registries:
    """What the files and the given options say together; InvalidConfig, InvalidMirror."""
    names, urls = list(insecure), list(mirrors)
    for path in daemon_files:
        document = _json(path)
        names += _texts(document.get("insecure-registries"), path)
        urls += _texts(document.get("registry-mirrors"), path)
    table = _toml(registries_file)
    hosts, networks = _split(names)
    found: dict[str, tuple[Endpoint, ...]] = {}
    tokens: dict[str, frozenset[str]] = {}
    for domain, row in table.items():
        hosts |= {domain} if row.get("insecure") is True else set()
        tokens[domain] = frozenset(_texts(row.get("token-servers"), registries_file))
        found[domain] = _mirrors(_texts(row.get("mirrors"), registries_file), hosts)
    found[DEFAULT_DOMAIN] = _mirrors(urls, hosts) + found.get(DEFAULT_DOMAIN, ())
    return Registries(frozenset(hosts), (*LOOPBACK, *networks), found, tokens, certificate_folders)


def _mirrors(urls: Iterable[str], insecure: set[str]) -> tuple[Endpoint, ...]:
    return tuple(_mirror(url, insecure) for url in urls)


def _mirror(url: str, insecure: set[str]) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise InvalidMirror(url)
    if parts.query or parts.fragment:
        raise InvalidMirror(url)
    plain = parts.scheme == "http"  # whoever writes so means it
    return Endpoint(
        parts.netloc,
        parts.scheme,
        parts.path.rstrip("/"),
        insecure=plain or parts.netloc in insecure,
        mirror=True,
    )


def _split(names: Iterable[str]) -> tuple[set[str], list[Network]]:
    """Hosts, and networks in CIDR notation."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for name in names:
        if "/" in name.removeprefix("http://").removeprefix("https://").rstrip("/"):
            with suppress(ValueError):
                networks.append(ipaddress.ip_network(name, strict=False))
        else:
            hosts.add(name.removeprefix("http://").removeprefix("https://").rstrip("/"))
    return hosts, networks


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes() or b"{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, OSError) as error:
        raise InvalidConfig(path, str(error)) from None
    if not isinstance(found, dict):
        raise InvalidConfig(path, "it is not an object")
    return found


def _toml(path: Path) -> dict[str, dict[str, Any]]:
    """``[registry."host:port"]`` tables."""
    try:
        found = tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, OSError) as error:
        raise InvalidConfig(path, str(error)) from None
    tables = found.get("registry", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise InvalidConfig(path, "registry is not a table of tables")
    return tables


def _texts(value: object, path: Path) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidConfig(path, "a list of strings was expected")
    return value
