"""``-p`` and ``--expose``: which ports of the container are wanted, and where on the host.

The rules are those of github.com/docker/go-connections/nat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PROTOCOLS = ("tcp", "udp", "sctp")
_ADDRESS_V4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}", re.ASCII)

Bindings = dict[str, list[dict[str, str]]]


def published(specs: Iterable[str]) -> tuple[dict[str, object], Bindings]:
    """ExposedPorts and PortBindings for ``-p`` values; ValueError where one is wrong."""
    exposed: dict[str, object] = {}
    bindings: Bindings = {}
    for spec in specs:
        for port, binding in _mappings(_standard(spec)):
            exposed[port] = {}
            found = bindings.setdefault(port, [])
            if binding not in found:
                found.append(binding)
    return exposed, bindings


def exposed(specs: Iterable[str]) -> dict[str, object]:
    """ExposedPorts for ``--expose`` values; ValueError where one is wrong."""
    found: dict[str, object] = {}
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        ports, protocol = _protocol(spec)
        try:
            first, last = _range(ports)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        found.update({f"{port}/{protocol}": {} for port in range(first, last + 1)})
    return found


def _standard(spec: str) -> str:
    """``published=8080,target=80`` as ``8080:80/tcp``."""
    if "=" not in spec:
        return spec
    wanted = {"protocol": "tcp", "published": "", "target": ""}
    for part in spec.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{part}')")
        wanted[name] = value
    return f"{wanted['published']}:{wanted['target']}/{wanted['protocol']}"


def _mappings(spec: str) -> Iterable[tuple[str, dict[str, str]]]:
    address, host, rest = _parts(spec)
    container, protocol = _protocol(rest)
    if address and not _is_address(address):
        raise ValueError(f"invalid IP address: {address}")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    try:
        first, last = _range(container)
    except ValueError:
        raise ValueError(f"invalid containerPort: {container}") from None
    for index, host_port in enumerate(_host_ports(host, container, last - first + 1)):
        yield f"{first + index}/{protocol}", {"HostIp": address, "HostPort": host_port}


def _host_ports(host: str, container: str, wanted: int) -> list[str]:
    """One host port for each container port: empty for any, a range for one of many."""
    if not host:
        return [""] * wanted
    try:
        first, last = _range(host)
    except ValueError:
        raise ValueError(f"invalid hostPort: {host}") from None
    if last - first + 1 != wanted:
        if wanted == 1:
            return [f"{first}-{last}"]
        ranges = f"{container} and {host}"
        raise ValueError(f"invalid ranges specified for container and host Ports: {ranges}")
    return [str(port) for port in range(first, last + 1)]


def _parts(spec: str) -> tuple[str, str, str]:
    """Address, host port and container port; the first two may be empty."""
    parts = spec.split(":")
    if len(parts) <= 3:
        address, host, container = (["", "", *parts])[-3:]
    else:
        address, host, container = ":".join(parts[:-2]), *parts[-2:]
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return address, host, container


def _protocol(text: str) -> tuple[str, str]:
    port, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash and protocol else "tcp"
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return port, protocol


def _range(text: str) -> tuple[int, int]:
    """``80`` or ``80-90``; ValueError for anything else."""
    first, dash, last = text.partition("-")
    ends = _port(first), _port(last if dash else first)
    if ends[0] > ends[1]:
        raise ValueError("invalid range specified for port: " + text)
    return ends


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 65535 or len(text) > 5:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _is_address(text: str) -> bool:
    if _ADDRESS_V4.fullmatch(text):
        return True
    return is_address(text) if ":" in text else False


def is_address(text: str) -> bool:
    """Whether *text* is an IPv4 or IPv6 address."""
    from _socket import AF_INET, AF_INET6, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, text.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False
