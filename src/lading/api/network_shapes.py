"""Networks, endpoints and ports as the Engine API shows them (pure)."""

from __future__ import annotations

from typing import Any

from lading.container.networking import endpoints
from lading.container.options import EndpointSettings
from lading.container.record import Container
from lading.network import nametext
from lading.network.values import Endpoint, NetworkMode, Sandbox

Json = dict[str, Any]


_NOTHING = EndpointSettings()


def endpoint(
    found: Endpoint | None, asked: EndpointSettings = _NOTHING, names: list[str] | None = None
) -> Json:
    """Docker's `EndpointSettings`: what was *asked* for, and what there is while it runs."""
    return {
        "IPAMConfig": _addresses(asked),
        "Links": asked.links or None,
        "Aliases": asked.aliases or None,
        "MacAddress": found.mac if found else asked.mac_address,
        "DriverOpts": None,
        "GwPriority": asked.gw_priority,
        "NetworkID": found.network_id if found else asked.network_id,
        "EndpointID": found.id if found else "",
        "Gateway": found.gateway if found else "",
        "IPAddress": found.address if found else "",
        "IPPrefixLen": found.prefix_length if found else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": names,
    }


def networks(container: Container, sandbox: Sandbox | None) -> dict[str, Json]:
    """``NetworkSettings.Networks``: by name, with empty endpoints while it does not run."""
    asked = endpoints(container)
    if sandbox and sandbox.endpoints:
        return {
            each.network: endpoint(each, asked.get(each.network, _NOTHING), _names(sandbox, each))
            for each in sandbox.endpoints
        }
    mode = NetworkMode.parse(container.host.network_mode)
    if mode.kind in ("host", "none"):
        return {mode.kind: endpoint(None)}
    return {name: endpoint(None, settings) for name, settings in asked.items()}


def _addresses(asked: EndpointSettings) -> Json | None:
    address = asked.ipam_config.ipv4_address if asked.ipam_config else ""
    if asked.ipam_config is None:
        return None
    return {"IPv4Address": address} if address else {}


def _names(sandbox: Sandbox, found: Endpoint) -> list[str] | None:
    return nametext.names(sandbox, found) if found.resolver else None


def port_map(container: Container, sandbox: Sandbox | None) -> dict[str, list[Json] | None]:
    """``NetworkSettings.Ports``: exposed and published ports, while it runs."""
    if sandbox is None or not sandbox.netns or sandbox.way_out is None:
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
