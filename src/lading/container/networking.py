"""Which networks a container is to be on, and how: Docker's settings, checked and completed.  Pure.

A container's record names its networks by name, those that it was created on as those it
was connected to later.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

import msgspec

from lading.container.options import EndpointAddress, EndpointSettings, HostConfig, NetworkingConfig
from lading.container.record import Container
from lading.container.refusals import UnsupportedOption
from lading.errors import Conflict, Invalid
from lading.network import files
from lading.network.values import EndpointRequest, Network, NetworkMode, parse_mac

FindNetwork = Callable[[str], Network]
Endpoints = dict[str, EndpointSettings]
_BRIDGE = "bridge"


class BadEndpoint(Invalid):
    """Raised for what a container cannot be on a network."""


class SharedNetwork(Conflict):
    """Raised for a container that is to be on a network beside the one that excludes others."""


def completed(
    host: HostConfig, asked: NetworkingConfig, find: FindNetwork
) -> tuple[HostConfig, NetworkingConfig]:
    """Both with every network by its name; NetworkNotFound, BadEndpoint, UnsupportedOption."""
    mode = NetworkMode.parse(host.network_mode)
    if mode.kind == "network":
        name = find(mode.name).name
        host = msgspec.structs.replace(host, network_mode=name)
        mode = NetworkMode.parse(name)
    given = asked.endpoints_config or {}
    if host.links and mode.kind != "network":
        raise UnsupportedOption("--link", "containers are linked on user networks alone")
    if mode.kind not in (_BRIDGE, "network"):
        _check_alone(mode, given)
        return host, NetworkingConfig()
    endpoints = {_named(key, find): settings for key, settings in given.items()}
    endpoints = _with_mode(mode, endpoints, host)
    checked = {name: checked_for(find(name), settings) for name, settings in endpoints.items()}
    return host, NetworkingConfig(endpoints_config=checked)


def checked_for(network: Network, settings: EndpointSettings) -> EndpointSettings:
    """*settings* for just this network; what `check` raises."""
    check(network, settings)
    return msgspec.structs.replace(settings, network_id=network.id)


def check(network: Network, settings: EndpointSettings) -> None:
    """BadEndpoint, UnsupportedOption, InvalidMac, InvalidName for what cannot be."""
    _check_address(network, settings.ipam_config or EndpointAddress())
    if settings.driver_opts:
        raise UnsupportedOption(f"the network's driver option {next(iter(settings.driver_opts))!r}")
    if settings.mac_address:
        parse_mac(settings.mac_address)
    for alias in settings.aliases or ():
        files.check_name(alias)
    for link in settings.links or ():
        target, _, alias = link.partition(":")
        files.check_name(target)
        files.check_name(alias or target)
    if network.has_names:
        return
    if settings.aliases:
        raise BadEndpoint(
            "network-scoped alias is supported only for containers in user defined networks"
        )
    if settings.links:
        raise UnsupportedOption("--link", "containers are linked on user networks alone")


def check_connectable(container: Container, network: Network) -> None:
    """SharedNetwork where a container, or a network, allows of no other network."""
    kind = NetworkMode.parse(container.host.network_mode).kind
    if kind in ("host", "container"):
        raise SharedNetwork(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network"
        )
    if kind == "none" or container.config.network_disabled:
        raise SharedNetwork(
            "container cannot be connected to multiple networks with one of the networks "
            "in private (none) mode"
        )
    if network.driver != "bridge":
        raise SharedNetwork(f"container cannot be connected to the network {network.name}")


def endpoints(container: Container) -> Endpoints:
    """The networks that a container is on whenever it runs; none where the mode says it all."""
    mode = NetworkMode.parse(container.host.network_mode)
    if mode.kind not in (_BRIDGE, "network"):
        return {}
    given = container.networking.endpoints_config
    if given is None:
        return {str(mode): EndpointSettings()}
    return {_BRIDGE if key == "default" else key: each for key, each in given.items()}


def requests(container: Container) -> tuple[EndpointRequest, ...] | None:
    """The same for whoever attaches it; None where the mode says it all."""
    mode = NetworkMode.parse(container.host.network_mode)
    if container.config.network_disabled or mode.kind not in (_BRIDGE, "network"):
        return None
    own = container.config.mac_address
    return tuple(
        request(name, settings, mac=own if name == str(mode) else "")
        for name, settings in endpoints(container).items()
    )


def request(name: str, settings: EndpointSettings, *, mac: str = "") -> EndpointRequest:
    """One of them; *mac* where the settings say nothing of it."""
    mac = settings.mac_address or mac
    return EndpointRequest(
        name,
        address=settings.ipam_config.ipv4_address if settings.ipam_config else "",
        mac=parse_mac(mac) if mac else None,
        aliases=tuple(settings.aliases or ()),
        links=tuple(settings.links or ()),
        priority=settings.gw_priority,
    )


def _named(key: str, find: FindNetwork) -> str:
    return _BRIDGE if key in ("", "default") else find(key).name


def _with_mode(mode: NetworkMode, given: Endpoints, host: HostConfig) -> Endpoints:
    """The mode's own network first, with the links of old, and then the others by name."""
    own = str(mode)
    if mode.kind == "network" or not given:
        given = {own: EndpointSettings(), **given}
    if host.links:
        links = list(dict.fromkeys([*(given[own].links or ()), *host.links]))
        given[own] = msgspec.structs.replace(given[own], links=links)
    return {name: given[name] for name in sorted(given, key=lambda name: (name != own, name))}


def _check_alone(mode: NetworkMode, given: Mapping[str, EndpointSettings]) -> None:
    for name, settings in given.items():
        nothing = EndpointSettings(network_id=settings.network_id)
        if name not in (mode.kind, "default") or settings != nothing:
            raise BadEndpoint(
                f"conflicting options: network mode {mode} leaves no room for network {name[:80]}"
            )


def _check_address(network: Network, asked: EndpointAddress) -> None:
    if asked.ipv6_address:
        raise UnsupportedOption("--ip6")
    if asked.link_local_ips:
        raise UnsupportedOption("--link-local-ip")
    if not asked.ipv4_address:
        return
    try:
        address = ipaddress.IPv4Address(asked.ipv4_address)
    except ValueError:
        raise BadEndpoint(f"invalid IPv4 address: {asked.ipv4_address[:80]}") from None
    if not network.has_names:
        raise BadEndpoint("user specified IP address is supported on user defined networks only")
    if not network.configured:
        raise BadEndpoint(
            "user specified IP address is supported only when connecting to networks "
            "with user configured subnets"
        )
    if address not in ipaddress.IPv4Network(network.subnet):
        raise BadEndpoint(f"no configured subnet contains IP address {address}")
