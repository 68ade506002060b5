"""What the host's own resolver files say."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from lading.network.files import Resolver, parse_resolver

_RESOLV_CONF = Path("/etc/resolv.conf")
_BEHIND_SYSTEMD = Path("/run/systemd/resolve/resolv.conf")
_HOSTS = Path("/etc/hosts")
_STUB = ("127.0.0.53",)
_LARGEST = 1 << 16


def host_resolver() -> Resolver:
    """The host's name servers; systemd-resolved's own where its stub is all that is named."""
    named = parse_resolver(_read(_RESOLV_CONF))
    if named.servers != _STUB:
        return named
    behind = parse_resolver(_read(_BEHIND_SYSTEMD))
    return behind if behind.servers else named


def host_resolv_conf() -> str:
    """The file as it is, for a container on the host's network."""
    return _read(_RESOLV_CONF)


def host_hosts() -> str:
    return _read(_HOSTS)


def server_addresses() -> list[str]:
    """The name servers' addresses, which no bridge may cover."""
    servers = host_resolver().servers
    return [str(ipaddress.ip_address(server.partition("%")[0])) for server in servers]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""
