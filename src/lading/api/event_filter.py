"""Which events a client wants, and how an event looks on the wire (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lading.api.filters import Filters
from lading.api.times import SECOND
from lading.events import Event

_WITH_LEGACY_FIELDS = frozenset({"container", "image"})
_ACTORS = ("container", "volume", "network", "plugin", "service", "node", "secret", "config")


def wanted(event: Event, filters: Filters) -> bool:
    """Whether *event* passes *filters*, by the rules of ``docker events --filter``."""
    return (
        _action(event, filters)
        and filters.exact("type", event.kind)
        and filters.exact("scope", "local")
        and (not filters.all("daemon") or event.kind == "daemon")
        and all(_actor(event, filters, kind) for kind in _ACTORS)
        and _image(event, filters)
        and filters.labels(event.attributes)
    )


def _action(event: Event, filters: Filters) -> bool:
    """``exec_start: true`` is asked for as ``exec_start``."""
    return filters.exact("event", event.action, event.action.partition(":")[0])


def _actor(event: Event, filters: Filters, kind: str) -> bool:
    asked = filters.all(kind)
    names = (event.actor, event.attributes.get("name", ""))
    return not asked or any(name.startswith(text) for text in asked for name in names)


def _image(event: Event, filters: Filters) -> bool:
    """By the image itself, or for a container by what it was made from; a tag may be left out."""
    image = event.attributes.get("name" if event.kind == "image" else "image", "")
    names = (event.actor, image) if event.kind == "image" else (image,)
    bare = [name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name for name in names]
    return filters.exact("image", *names, *bare)


def on_the_wire(event: Event) -> dict[str, Any]:
    """Docker's EventMessage; containers and images also carry the fields of API 1.22."""
    message: dict[str, Any] = {}
    if event.kind in _WITH_LEGACY_FIELDS:
        message = _legacy(event.action, event.actor, event.attributes)
    return message | {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": event.attributes},
        "scope": "local",
        "time": event.time_ns // SECOND,
        "timeNano": event.time_ns,
    }


def _legacy(action: str, actor: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    fields = {"status": action, "id": actor, "from": attributes.get("image", "")}
    return {name: value for name, value in fields.items() if value}
