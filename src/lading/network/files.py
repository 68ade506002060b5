"""The text of a container's hosts, hostname and resolv.conf.  Pure.

What a user hands in is parsed to the last character: a newline in a name would be a
line of the user's own in a file that the container's resolver trusts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lading.errors import Invalid

HOST_GATEWAY = "host-gateway"
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_SEARCH = re.compile(r"\.|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_OPTION = re.compile(r"[a-z0-9-]+(:[0-9]{1,5})?")
_LONGEST_HOSTNAME = 63  # Linux' HOST_NAME_MAX is 64, Docker's limit 63
_LONGEST_NAME = 253
_LOCAL_NAMES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")  # Docker's, where the host has none a container can reach


class InvalidName(Invalid):
    """Raised for a host name, search domain or alias that is none."""


class InvalidDns(Invalid):
    """Raised for a name server or resolver option that is none."""


class InvalidExtraHost(Invalid):
    """Raised for an ``--add-host`` that is none."""


@dataclass(frozen=True, slots=True)
class ExtraHost:
    """A line that the user adds to hosts; *address* may be ``host-gateway``."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> ExtraHost:
        """Read ``name:address`` (or ``name=address``); InvalidExtraHost, InvalidName."""
        mark = "=" if "=" in text else ":"
        name, found, address = text.partition(mark)
        if not found or not name:
            raise InvalidExtraHost(f"bad format for add-host: {text!r}")
        address = address.strip("[]")
        if address != HOST_GATEWAY and not _is_address(address):
            raise InvalidExtraHost(f"invalid IP address in add-host: {address!r}")
        return cls(check_name(name), address)


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """*name*, when a host may have it; InvalidName otherwise."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise InvalidName(f"invalid host name: {name!r}")
    return name


def check_hostname(name: str) -> str:
    """*name*, when the kernel takes it as ``--hostname``; InvalidName otherwise."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_HOSTNAME:
        raise InvalidName(f"invalid hostname: {name!r}")
    return name


def hostname_text(hostname: str) -> str:
    return f"{check_hostname(hostname)}\n"


def hosts_text(
    hostname: str,
    addresses: Sequence[str],
    extra: Iterable[ExtraHost] = (),
    *,
    domain: str = "",
    gateway: str = "",
) -> str:
    """A private hosts file; *gateway* is what ``host-gateway`` stands for; InvalidExtraHost."""
    full = f"{hostname}.{check_name(domain)} {hostname}" if domain else hostname
    check_hostname(hostname)
    rows = [*_LOCAL_NAMES, *_extra_rows(extra, gateway), *((a, full) for a in addresses)]
    return _rows_text(rows)


def host_hosts_text(host_text: str, extra: Iterable[ExtraHost] = (), *, gateway: str = "") -> str:
    """The host's own hosts file for ``--network host``, with the user's lines at its end."""
    base = host_text if host_text.endswith("\n") or not host_text else host_text + "\n"
    return base + _rows_text(_extra_rows(extra, gateway))


def parse_resolver(text: str) -> Resolver:
    """What a host's resolv.conf says; lines that mean nothing are passed over."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        key, *words = line.split() or [""]
        if key == "nameserver" and words and _is_address(words[0]):
            servers.append(words[0])
        elif key in ("search", "domain"):
            search = tuple(word for word in words if _SEARCH.fullmatch(word))
        elif key == "options":
            options += [word for word in words if _OPTION.fullmatch(word)]
    return Resolver(tuple(servers), search, tuple(options))


def resolver(
    host: Resolver,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    private: bool = True,
) -> Resolver:
    """What the container's resolv.conf shall say; InvalidDns, InvalidName.

    What the user gives replaces what *host* says, item by item; a lone ``.`` as search
    domain means none.  *private* (a network namespace of its own) leaves out servers that
    only the host can reach, with public ones where nothing remains, as Docker does.
    """
    _check_asked(servers, search, options)
    chosen = tuple(servers) or (_reachable(host.servers) if private else host.servers)
    domains = () if list(search) == ["."] else tuple(search) or host.search
    return Resolver(chosen, domains, tuple(options) or host.options)


def resolv_conf_text(resolver: Resolver) -> str:
    lines = [f"nameserver {server}" for server in resolver.servers]
    lines += [f"search {' '.join(resolver.search)}"] if resolver.search else []
    lines += [f"options {' '.join(resolver.options)}"] if resolver.options else []
    return "".join(f"{line}\n" for line in lines)


def _reachable(servers: Iterable[str]) -> tuple[str, ...]:
    """IPv6 servers are out of reach too: the default bridge speaks IPv4 alone."""
    addresses = [ipaddress.ip_address(server.partition("%")[0]) for server in servers]
    usable = tuple(str(a) for a in addresses if a.version == 4 and not a.is_loopback)
    return usable or FALLBACK_SERVERS


def _check_asked(servers: Iterable[str], search: Iterable[str], options: Iterable[str]) -> None:
    for server in servers:
        if not _is_address(server):
            raise InvalidDns(f"{server!r} is not a valid IP address for a DNS server")
    for domain in search:
        if not _SEARCH.fullmatch(domain) or len(domain) > _LONGEST_NAME:
            raise InvalidName(f"invalid DNS search domain: {domain!r}")
    for option in options:
        if not _OPTION.fullmatch(option):
            raise InvalidDns(f"invalid DNS option: {option!r}")


def _extra_rows(extra: Iterable[ExtraHost], gateway: str) -> list[tuple[str, str]]:
    rows = [(gateway if e.address == HOST_GATEWAY else e.address, e.name) for e in extra]
    if any(not address for address, _ in rows):
        raise InvalidExtraHost("host-gateway is not known on this network")
    return rows


def _rows_text(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{address}\t{names}\n" for address, names in rows)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return "\n" not in text and " " not in text and "\0" not in text
