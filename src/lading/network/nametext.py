"""What the name servers are told, as the text of aardvark-dns's files.  Pure.

One server answers for networks that lead out, and asks others for what it does not know.
The other answers for closed ones, and asks nobody.  A container that is on both kinds
asks the first, which therefore has to know its closed networks as well.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lading.network.values import Endpoint, Network, Sandbox

SHORT_ID = 12
_OURS = "lading"
Files = dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """The files of both servers, by name."""

    leading_out: Files
    closed: Files


def told(networks: Iterable[Network], sandboxes: Sequence[Sandbox]) -> Told:
    """All that containers are to find by name."""
    told = Told({}, {})
    for network in networks:
        members = [(s, e) for s in sandboxes if (e := s.endpoint(network.id)) is not None]
        if not network.has_names or not members:
            continue
        lines = "".join(_line(sandbox, endpoint, members) for sandbox, endpoint in members)
        if not network.internal:
            told.leading_out[network.id] = _text(network.gateway, lines)
            continue
        told.closed[network.id] = _text(network.gateway, lines)
        if any(sandbox.way_out for sandbox, _ in members):
            told.leading_out[network.id] = _text(_nowhere(network), lines)
    return told


def mark(text: str) -> tuple[str, str]:
    """Whom to ask for what, to learn whether a server goes by this text already."""
    first, *_, last = text.splitlines()
    return first, last.split()[-1]


def _text(server: str, lines: str) -> str:
    """A file, with a name for itself at the end: its reader cannot be asked what it has read."""
    version = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return f"{server}\n{lines}{_OURS} {server}  {_OURS}-{version}\n"


def names(sandbox: Sandbox, endpoint: Endpoint) -> list[str]:
    """What a container is called on a network, in Docker's order."""
    own = [sandbox.name, *endpoint.aliases, sandbox.container_id[:SHORT_ID]]
    hostname = [sandbox.hostname] if sandbox.hostname else []
    return list(dict.fromkeys([*own, *hostname]))


def _line(sandbox: Sandbox, endpoint: Endpoint, members: Iterable[tuple[Sandbox, Endpoint]]) -> str:
    every = [*names(sandbox, endpoint), *_linked(sandbox, members)]
    called = ",".join(dict.fromkeys(name.lower() for name in every))
    servers = ",".join(each for each in sandbox.dns if not _is_loopback(each))
    asked = f" {servers}" if servers and sandbox.way_out else ""
    return f"{sandbox.container_id} {endpoint.address}  {called}{asked}\n"


def _linked(sandbox: Sandbox, members: Iterable[tuple[Sandbox, Endpoint]]) -> Iterator[str]:
    """The names that links of others give it."""
    for _, endpoint in members:
        for link in endpoint.links:
            target, _, alias = link.partition(":")
            if target == sandbox.name or sandbox.container_id.startswith(target):
                yield alias or target


def _nowhere(network: Network) -> str:
    """An address of the host's own loopback: a file needs one, and nobody is to ask there."""
    number = int(network.id[:6], 16)
    return str(ipaddress.IPv4Address((127 << 24) | (1 << 16) | (number & 0xFEFFFF) | 1))


def _is_loopback(server: str) -> bool:
    """The container's own, where it has a server: this host's is another."""
    return ipaddress.ip_address(server.partition("%")[0]).is_loopback
