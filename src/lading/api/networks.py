"""Networks: list and inspect those there are; user networks are refused until they come."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.filters import Filters, InvalidFilter
from lading.api.router import Route
from lading.engine.engine import Engine
from lading.errors import Denied, Invalid, Unsupported
from lading.network.values import Network

_LIST = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PRUNE = frozenset({"until", "label", "label!"})
_PREDEFINED = frozenset({"bridge", "host", "none", "default"})
Json = dict[str, Any]


class NetworkCreate(msgspec.Struct, frozen=True, rename="pascal"):
    """What of the body of ``POST /networks/create`` decides how it is refused."""

    name: str = ""


class PredefinedNetwork(Denied):
    """Raised for what cannot be done to bridge, host and none, in Docker's words."""


async def list_all(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _LIST)
    _check(filters)
    return replies.json(await call.threads.short(_listed, call.engine, filters))


def _check(filters: Filters) -> None:
    for value in filters.all("type"):
        if value not in ("custom", "builtin"):
            raise InvalidFilter("type", value)
    filters.flag("dangling")


def _listed(engine: Engine, filters: Filters) -> list[Json]:
    return [shown(n) for n in engine.networks.networks() if _wanted(engine, n, filters)]


def _wanted(engine: Engine, network: Network, filters: Filters) -> bool:
    builtin = network.name in _PREDEFINED
    dangling = filters.flag("dangling")
    return (
        filters.exact("driver", network.driver)
        and filters.matches("id", network.id)
        and filters.matches("name", network.name)
        and filters.labels(network.labels)
        and filters.exact("scope", "local")
        and filters.exact("type", "builtin" if builtin else "custom")
        and (dangling is None or dangling == (not builtin and not _members(engine, network)))
    )


async def inspect(call: Call) -> web.StreamResponse:
    found = await call.threads.short(_inspected, call.engine, call.params["id"])
    return replies.json(found)


def _inspected(engine: Engine, ref: str) -> Json:
    network = engine.networks.find(ref)
    return shown(network) | {"Containers": _members(engine, network)}


def _members(engine: Engine, network: Network) -> dict[str, Json]:
    """The running containers on it, by ID."""
    members: dict[str, Json] = {}
    for container in engine.containers.list():
        sandbox = engine.networks.sandbox(container.id) if container.running else None
        for endpoint in sandbox.endpoints if sandbox else ():
            if endpoint.network_id == network.id:
                place = f"{endpoint.address}/{endpoint.prefix_length}" if endpoint.address else ""
                members[container.id] = {
                    "Name": container.name,
                    "EndpointID": endpoint.id,
                    "MacAddress": endpoint.mac,
                    "IPv4Address": place,
                    "IPv6Address": "",
                }
    return members


def shown(network: Network) -> Json:
    """Docker's `Network`, without its members."""
    config = [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else []
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": network.driver == "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


async def create(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, NetworkCreate)
    if not asked.name:
        raise Invalid("network name cannot be empty")
    if asked.name in _PREDEFINED:
        raise PredefinedNetwork(f"operation is not permitted on predefined {asked.name} network")
    raise Unsupported("user networks are not supported by lading yet")


async def remove(call: Call) -> web.StreamResponse:
    network = await call.threads.short(call.engine.networks.find, call.params["id"])
    raise PredefinedNetwork(f"{network.name} is a pre-defined network and cannot be removed")


async def connect(call: Call) -> web.StreamResponse:
    """Connect and disconnect alike: a container is on its network from start to end."""
    await body.read(call.request)
    await call.threads.short(call.engine.networks.find, call.params["id"])
    raise Unsupported("changing a container's networks is not supported by lading yet")


async def prune(call: Call) -> web.StreamResponse:
    Filters.parse(call.query.text("filters"), _PRUNE)
    return replies.json({"NetworksDeleted": None})


ROUTES = (
    Route("GET", "/networks", list_all),
    Route("POST", "/networks/create", create),
    Route("POST", "/networks/prune", prune),
    Route("GET", "/networks/{id}", inspect),
    Route("DELETE", "/networks/{id}", remove),
    Route("POST", "/networks/{id}/connect", connect),
    Route("POST", "/networks/{id}/disconnect", connect),
)
