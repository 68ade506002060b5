"""``--network`` and the flags beside it: the network mode, and what is asked of networks."""

from __future__ import annotations

from collections.abc import Iterable

from lading.cli.flags import Arguments
from lading.cli.options.limits import check_mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Body = dict[str, Any]

_OWN_MODES = ("default", "bridge", "host", "none")
_PLAIN = {"name": "name", "ip": "IPv4Address", "ip6": "IPv6Address", "mac-address": "MacAddress"}
_REPEATED = {"alias": "Aliases", "link-local-ip": "LinkLocalIPs"}


def endpoints(arguments: Arguments, host: Body) -> Body:
    """EndpointsConfig; the network mode is put into *host*.  ValueError where flags contradict."""
    wanted = [_parsed(spec) for spec in arguments.many("network")]
    names = [network["name"] for network in wanted]
    if names:
        host["NetworkMode"] = names[0]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'network "{name}" is specified multiple times')
    if len(names) > 1 and not (all(map(_is_user, names)) or not any(map(_is_user, names))):
        message = "cannot attach both user-defined and non-user-defined network-modes"
        raise ValueError(f"conflicting options: {message}")
    first = _merged(wanted[0] if wanted else {"name": "default"}, arguments)
    found = {network["name"]: _endpoint(network) for network in [first, *wanted[1:]]}
    return found if len(wanted) > 1 or any(found.values()) else {}


def _parsed(spec: str) -> Body:
    """``NAME``, ``name=NAME,alias=A,ip=…``, or as Podman has it, ``NAME:alias=A,ip=…``."""
    if "=" not in spec:
        return {"name": spec}
    name, colon, rest = spec.partition(":")
    if colon and "=" not in name:
        spec = f"name={name},{rest}"
    network: Body = {}
    for field in spec.split(","):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise ValueError(f"invalid field {field}")
        if key in _PLAIN:
            network[_PLAIN[key]] = value
        elif key in _REPEATED:
            network.setdefault(_REPEATED[key], []).append(value)
        elif key == "gw-priority":
            network["GwPriority"] = _number(value)
        elif key == "driver-opt":
            name, _, option = value.partition("=")
            network.setdefault("DriverOpts", {})[name] = option
        else:
            raise ValueError(f"invalid field key {key}")
    if not network.get("name"):
        raise ValueError("network name/id is not specified")
    return network


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"invalid gw-priority: {text}") from None


def _merged(network: Body, arguments: Arguments) -> Body:
    """The first network takes what the flags of old say."""
    mac = arguments.text("mac-address")
    if mac:
        check_mac(mac)
    beside: Body = {
        "Aliases": arguments.many("network-alias"),
        "IPv4Address": arguments.text("ip"),
        "IPv6Address": arguments.text("ip6"),
        "Links": arguments.many("link") if _is_user(network["name"]) else [],
        "MacAddress": mac,
    }
    flags = {"Aliases": "network-alias", "IPv4Address": "ip", "IPv6Address": "ip6"}
    for field, flag in flags.items():
        if beside[field] and network.get(field):
            message = f"cannot specify both --{flag} and the network's own"
            raise ValueError(f"conflicting options: {message}")
    return network | {field: value for field, value in beside.items() if value}


def _endpoint(network: Body) -> Body:
    if network.get("Aliases") and not _is_user(network["name"]):
        message = "network-scoped aliases are only supported for user-defined networks"
        raise ValueError(message)
    addresses = _taken(network, ("IPv4Address", "IPv6Address", "LinkLocalIPs"))
    endpoint = _taken(network, ("Aliases", "DriverOpts", "GwPriority", "Links", "MacAddress"))
    return endpoint | ({"IPAMConfig": addresses} if addresses else {})


def _taken(network: Body, fields: Iterable[str]) -> Body:
    return {field: network[field] for field in fields if network.get(field)}


def _is_user(name: str) -> bool:
    return name not in _OWN_MODES and not name.startswith("container:")
