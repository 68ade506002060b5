"""Which ports are wished for: Docker's port options read into `PortRequest`s.  Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lading.errors import Invalid
from lading.network.values import PROTOCOLS, PortRequest

_PORT = re.compile(r"[0-9]{1,5}")
_EVERY = frozenset({"", "0.0.0.0", "::"})


class InvalidPort(Invalid):
    """Raised for a port, or a range of ports, that cannot be."""


def requests(
    bindings: Mapping[str, Sequence[Mapping[str, str]] | None],
    exposed: Iterable[str] = (),
    *,
    publish_all: bool = False,
) -> tuple[PortRequest, ...]:
    """What ``HostConfig.PortBindings`` (and ``PublishAllPorts`` of *exposed*) ask for.

    *bindings* is the API's own object: ``{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}``.
    InvalidPort when a port, range, protocol or address is malformed.
    """
    asked: list[PortRequest] = []
    for text, wishes in bindings.items():
        port, proto = parse_port(text)
        asked += [_request(port, proto, wish) for wish in wishes or [{}]]
    if publish_all:
        taken = {(request.container_port, request.proto) for request in asked}
        asked += [PortRequest(port, proto) for port, proto in _exposed(exposed, taken)]
    return tuple(_without_repeats(asked))


def parse_port(text: str) -> tuple[int, str]:
    """Read ``80``, ``80/tcp`` or ``53/UDP``; InvalidPort."""
    port, _, proto = text.partition("/")
    proto = proto.lower() or "tcp"
    if proto not in PROTOCOLS:
        raise InvalidPort(f"invalid proto: {proto}")
    return _number(port, text), proto


def parse_range(text: str) -> tuple[list[int], str]:
    """Read ``8000-8010/tcp``, the way an EXPOSE may be written; InvalidPort."""
    ports, _, proto = text.partition("/")
    first, last = _bounds(ports, text)
    return list(range(first, last + 1)), parse_port(f"{first}/{proto}")[1]


def _exposed(texts: Iterable[str], taken: set[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for text in texts:
        ports, proto = parse_range(text)
        yield from ((port, proto) for port in ports if (port, proto) not in taken)


def _request(port: int, proto: str, wish: Mapping[str, str]) -> PortRequest:
    host_ip = _address(wish.get("HostIp") or "")
    text = wish.get("HostPort") or ""
    if text in ("", "0"):
        return PortRequest(port, proto, host_ip)
    first, last = _bounds(text, text)
    return PortRequest(port, proto, host_ip, first, last if last != first else None)


def _address(text: str) -> str:
    if text in _EVERY:
        return ""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise InvalidPort(f"invalid IP address: {text}") from None


def _bounds(text: str, shown: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    first = _number(low, shown)
    last = _number(high, shown) if dash else first
    if last < first:
        raise InvalidPort(f"invalid port range: {shown}")
    return first, last


def _number(text: str, shown: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise InvalidPort(f"invalid port specification: {shown!r}")
    return int(text)


def _without_repeats(asked: Iterable[PortRequest]) -> Iterator[PortRequest]:
    """``0.0.0.0`` and ``::`` for one port are one wish here: every address."""
    seen: set[PortRequest] = set()
    for request in asked:
        if request.host_port is None or request not in seen:
            yield request
        seen.add(request)
