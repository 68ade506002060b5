"""The bodies that network requests have, and what they mean to the engine (pure)."""

from __future__ import annotations

from typing import Any

import msgspec

from lading.container.options import EndpointSettings
from lading.errors import Invalid, Unsupported
from lading.network.wishes import NetworkRequest, PoolRequest

_NOT_OURS = {
    "ingress": "ingress networks need a swarm, and lading has none",
    "config_only": "configuration only networks are not supported by lading yet",
}


class Pool(msgspec.Struct, frozen=True, rename="pascal"):
    """One of ``IPAM.Config``."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = msgspec.field(default="", name="IPRange")
    auxiliary_addresses: dict[str, str] | None = None


class Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    """``IPAM``: how addresses are chosen."""

    driver: str = ""
    options: dict[str, str] | None = None
    config: list[Pool] | None = None


class NetworkCreate(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of ``POST /networks/create``."""

    name: str = ""
    check_duplicate: bool = False  # of old; a name is always one network's
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: dict[str, Any] | None = None
    ipam: Ipam | None = msgspec.field(default=None, name="IPAM")
    enable_ipv4: bool | None = msgspec.field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = msgspec.field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkConnect(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of ``POST /networks/{id}/connect``."""

    container: str = ""
    endpoint_config: EndpointSettings = EndpointSettings()


class NetworkDisconnect(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of ``POST /networks/{id}/disconnect``."""

    container: str = ""
    force: bool = False


def network_request(asked: NetworkCreate) -> NetworkRequest:
    """What is to be made; Unsupported for what needs a swarm."""
    for field, why in _NOT_OURS.items():
        if getattr(asked, field):
            raise Unsupported(why)
    if (asked.config_from or {}).get("Network"):
        raise Unsupported(_NOT_OURS["config_only"])
    if asked.scope not in ("", "local"):
        raise Invalid(f"networks of scope {asked.scope[:80]!r} need a swarm, and lading has none")
    ipam = asked.ipam or Ipam()
    return NetworkRequest(
        asked.name,
        driver=asked.driver or "bridge",
        internal=asked.internal,
        attachable=asked.attachable,
        ipv4=asked.enable_ipv4 is not False,
        ipv6=asked.enable_ipv6 is True,
        labels=asked.labels or {},
        options=asked.options or {},
        ipam_driver=ipam.driver,
        ipam_options=ipam.options or {},
        pools=tuple(_pool(each) for each in ipam.config or ()),
    )


def _pool(asked: Pool) -> PoolRequest:
    reserved = asked.auxiliary_addresses or {}
    return PoolRequest(asked.subnet, asked.gateway, asked.ip_range, reserved)
