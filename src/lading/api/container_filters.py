"""Which containers a list request wants (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lading.api.filters import Filters, InvalidFilter
from lading.api.network_shapes import networks, ports
from lading.api.query import integer
from lading.container.record import Container
from lading.container.states import State
from lading.errors import Invalid
from lading.network.values import Sandbox

NAMES = frozenset(
    {
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    }
)
_HEALTH = frozenset({"starting", "healthy", "unhealthy", "none"})
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
Networked = Callable[[str], Sandbox | None]
Test = Callable[[Container], bool]


def check(filters: Filters) -> None:
    """Raise InvalidFilter for values that no container can have."""
    states = {state.value for state in State}
    for value in filters.all("status"):
        if value not in states:
            raise InvalidFilter("status", value)
    for value in filters.all("health"):
        if value not in _HEALTH:
            raise Invalid(f"Unrecognised filter value for health: {value[:80]}")
    filters.flag("is-task")


def shows_stopped(filters: Filters) -> bool:
    """Whether what is asked for includes containers that do not run, said or not."""
    return any(name in filters for name in ("status", "exited", "since", "before"))


def tests(filters: Filters, images: Mapping[str, Sequence[str]], sandbox: Networked) -> list[Test]:
    """What a container has to pass.

    *images* holds the image IDs for each ``ancestor``, *sandbox* knows the network of each
    container by its ID.
    """
    exits = {integer(value) for value in filters.all("exited")}
    wanted_images = {found for value in filters.all("ancestor") for found in images.get(value, ())}
    published = [_port_range(value) for value in filters.all("publish")]
    exposed = [_port_range(value) for value in filters.all("expose")]
    every: Mapping[str, Test] = {
        "id": lambda c: filters.matches("id", c.id),
        "name": lambda c: filters.matches("name", c.name, f"/{c.name}"),
        "label": lambda c: filters.labels(c.config.labels),
        "status": lambda c: filters.exact("status", c.state.status.value),
        "exited": lambda c: _exited(c, exits),
        "ancestor": lambda c: c.image_id in wanted_images,
        "volume": lambda c: _has_volume(c, filters),
        "network": lambda c: _on_network(networks(c, sandbox(c.id)), filters),
        "publish": lambda c: _has_port(_published(ports(c, sandbox(c.id))), published),
        "expose": lambda c: _has_port(_exposed(c), exposed),
        "health": lambda c: filters.exact(
            "health", c.state.health.status if c.state.health else "none"
        ),
        "is-task": lambda c: filters.flag("is-task") is not True,
        "isolation": lambda c: filters.exact("isolation", "", "default"),
    }
    return [test for name, test in every.items() if filters.all(name)]


def _exited(container: Container, codes: set[int]) -> bool:
    ended = not container.running and container.state.status is not State.CREATED
    return ended and container.state.exit_code in codes


def _has_volume(container: Container, filters: Filters) -> bool:
    mounts = container.mounts
    return filters.exact(
        "volume", *(m.name or "" for m in mounts), *(m.destination for m in mounts)
    )


def _on_network(shown: Mapping[str, Any], filters: Filters) -> bool:
    ids = [each["NetworkID"] for each in shown.values() if each["NetworkID"]]
    return any(
        asked in shown or any(one.startswith(asked) for one in ids)
        for asked in filters.all("network")
        if asked
    )


def _published(shown: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    return [(p["PrivatePort"], p["Type"]) for p in shown if "PublicPort" in p]


def _exposed(container: Container) -> list[tuple[int, str]]:
    shown = []
    for name in container.config.exposed_ports or {}:
        number, _, proto = name.partition("/")
        shown.append((int(number), proto or "tcp"))
    return shown


def _has_port(held: Sequence[tuple[int, str]], wanted: Sequence[tuple[int, int, str]]) -> bool:
    return any(
        low <= number <= high and proto == kind
        for number, kind in held
        for low, high, proto in wanted
    )


def _port_range(text: str) -> tuple[int, int, str]:
    """``80``, ``80/udp``, ``80-90/tcp``; Invalid."""
    found = _PORTS.fullmatch(text)
    if not found or int(found[1]) > int(found[2] or found[1]):
        raise Invalid(f"invalid port range: {text[:80]}")
    return int(found[1]), int(found[2] or found[1]), found[3] or "tcp"
