"""``lading port``: where a container's ports are reached on the host."""

from __future__ import annotations

import re

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import Arguments
from lading.cli.references import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DIGITS = re.compile(r"(\d+)", re.ASCII)


def run(arguments: Arguments, client: Client) -> int:
    """Print every mapping, or those of the one port asked for."""
    name, *wanted = arguments.operands
    container = client.get(f"/containers/{reference(name)}/json")
    ports = container["NetworkSettings"].get("Ports") or {}
    if wanted and wanted[0]:
        lines = _of_one(ports, wanted[0], name)
    else:
        lines = [f"{port} -> {_host(b)}" for port, bound in ports.items() for b in bound or ()]
    for line in sorted(lines, key=_natural):
        print(line)
    return 0


def _of_one(ports: dict[str, Any], wanted: str, name: str) -> list[str]:
    port, _, protocol = wanted.partition("/")
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 65536):
        reason = f'strconv.ParseUint: parsing "{port}": invalid syntax'
        raise Fault(f"invalid port ({port}): {reason}")
    bound = ports.get(f"{port}/{protocol or 'tcp'}")
    if not bound:
        raise Fault(f"No public port '{wanted}' published for {name}")
    return [_host(binding) for binding in bound]


def _host(binding: dict[str, str]) -> str:
    address, port = binding["HostIp"], binding["HostPort"]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _natural(line: str) -> list[tuple[bool, int, str]]:
    """Numbers inside a text count by their value: 80 before 443."""
    words = _DIGITS.split(line)
    return [(not w.isdigit(), int(w) if w.isdigit() else 0, w) for w in words if w]


COMMANDS = {
    "port": Command(
        run,
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        example="lading port web 80/tcp",
        operands=(1, 2),
        complete="running",
    )
}
