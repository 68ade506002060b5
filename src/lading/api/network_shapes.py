"""Networks, endpoints and ports as the Engine API shows them (pure)."""

from __future__ import annotations

from typing import Any

from lading.container.record import Container
from lading.network.values import Endpoint, NetworkMode, Sandbox

Json = dict[str, Any]


def endpoint(found: Endpoint | None) -> Json:
    """Docker's `EndpointSettings`; everything empty for an endpoint that is not there."""
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": list(found.aliases) if found and found.aliases else None,
        "MacAddress": found.mac if found else "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": found.network_id if found else "",
        "EndpointID": found.id if found else "",
        "Gateway": found.gateway if found else "",
        "IPAddress": found.address if found else "",
        "IPPrefixLen": found.prefix_length if found else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def networks(container: Container, sandbox: Sandbox | None) -> dict[str, Json]:
    """``NetworkSettings.Networks``: by name, with empty endpoints while it does not run."""
    if sandbox and sandbox.endpoints:
        return {each.network: endpoint(each) for each in sandbox.endpoints}
    mode = NetworkMode.parse(container.host.network_mode)
    if mode.kind == "container":
        return {}
    return {mode.name or mode.kind: endpoint(None)}


def port_map(container: Container, sandbox: Sandbox | None) -> dict[str, list[Json] | None]:
    """``NetworkSettings.Ports``: exposed and published ports, while it runs."""
    if sandbox is None or not sandbox.netns or not sandbox.endpoints:
        return {}
    shown: dict[str, list[Json] | None] = dict.fromkeys(container.config.exposed_ports or {})
    for binding in sandbox.ports:
        held = shown.get(f"{binding.container_port}/{binding.proto}") or []
        held.append({"HostIp": binding.host_ip, "HostPort": str(binding.host_port)})
        shown[f"{binding.container_port}/{binding.proto}"] = held
    return shown


def ports(container: Container, sandbox: Sandbox | None) -> list[Json]:
    """``Ports`` of a summary: published ones with where, the others without."""
    shown: list[Json] = []
    for name, bindings in port_map(container, sandbox).items():
        number, _, proto = name.partition("/")
        port = {"PrivatePort": int(number), "Type": proto or "tcp"}
        for binding in bindings or ():
            public = {"PublicPort": int(binding["HostPort"])}
            shown.append({"IP": binding["HostIp"], **port, **public})
        if not bindings:
            shown.append(port)
    return sorted(shown, key=lambda each: (each["PrivatePort"], each["Type"]))
