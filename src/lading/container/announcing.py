"""Tell the bus what happens to containers, with the attributes that Docker's events have."""

from __future__ import annotations

from lading.container.record import Container
from lading.events import Bus


class Announcer:
    """Publish events of containers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def tell(self, container: Container, action: str, **attributes: str) -> None:
        """One event; the container's labels, image and name go with it."""
        labels = container.config.labels or {}
        own = {"image": container.config.image, "name": container.name}
        self._bus.publish("container", action, container.id, {**labels, **own, **attributes})
