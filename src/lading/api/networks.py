"""Networks: make, list, inspect and remove them, and put containers on them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.containers import check_until
from lading.api.filters import Filters, InvalidFilter
from lading.api.network_requests import (
    NetworkConnect,
    NetworkCreate,
    NetworkDisconnect,
    network_request,
)
from lading.api.router import Route
from lading.api.times import parse_moment, parse_rfc3339
from lading.container.networking import endpoints
from lading.engine.engine import Engine
from lading.network.known import NetworkNotFound
from lading.network.segment import NetworkInUse
from lading.network.values import Network

_LIST = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PRUNE = frozenset({"until", "label", "label!"})
Json = dict[str, Any]


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
    builtin = network.predefined
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
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": network.driver == "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": _pools(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def _pools(network: Network) -> list[Json]:
    if not network.subnet:
        return []
    pool: Json = {"Subnet": network.subnet, "Gateway": network.gateway}
    if network.ip_range:
        pool["IPRange"] = network.ip_range
    if network.reserved:
        pool["AuxiliaryAddresses"] = dict(network.reserved)
    return [pool]


async def create(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, NetworkCreate)
    made = await call.threads.long(call.engine.networks.create, network_request(asked))
    return replies.json({"Id": made.id, "Warning": ""}, 201)


async def remove(call: Call) -> web.StreamResponse:
    await call.threads.long(call.engine.networks.remove, call.params["id"])
    return replies.empty()


async def connect(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, NetworkConnect)
    await call.threads.long(
        call.engine.containers.connect,
        asked.container,
        call.params["id"],
        asked.endpoint_config,
    )
    return replies.empty(200)


async def disconnect(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, NetworkDisconnect)
    await call.threads.long(
        call.engine.containers.disconnect,
        asked.container,
        call.params["id"],
        force=asked.force,
    )
    return replies.empty(200)


async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _PRUNE)
    check_until(filters)
    gone = await call.threads.long(_pruned, call.engine, filters)
    return replies.json({"NetworksDeleted": gone or None})


def _pruned(engine: Engine, filters: Filters) -> list[str]:
    """The names of the networks removed: those that no container, running or not, is on."""
    used = {name for each in engine.containers.list() for name in endpoints(each)}
    until = [parse_moment(text, time.time_ns()) for text in filters.all("until")]
    gone: list[str] = []
    for network in engine.networks.networks():
        if network.predefined or network.name in used:
            continue
        if any(parse_rfc3339(network.created) >= moment for moment in until):
            continue
        if not filters.labels_for_prune(network.labels):
            continue
        with suppress(NetworkInUse, NetworkNotFound):
            engine.networks.remove(network.id)
            gone.append(network.name)
    return gone


ROUTES = (
    Route("GET", "/networks", list_all),
    Route("POST", "/networks/create", create),
    Route("POST", "/networks/prune", prune),
    Route("GET", "/networks/{id}", inspect),
    Route("DELETE", "/networks/{id}", remove),
    Route("POST", "/networks/{id}/connect", connect),
    Route("POST", "/networks/{id}/disconnect", disconnect),
)
