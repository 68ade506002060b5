"""The parts of an engine that backups are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lading.container.control import Control
from lading.container.freezing import Freezer
from lading.container.places import Places
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.events import Bus
from lading.image.library import Library
from lading.snapshot.protocol import Snapshotter
from lading.volume.volumes import Volumes

RunHook = Callable[[str, str], None]
"""Run a command in a container, by its ID, and wait; raises when it fails."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Each does its own work; what is captured stays theirs."""

    roster: Roster
    roots: Roots
    places: Places
    snapshotter: Snapshotter
    library: Library
    volumes: Volumes
    freezer: Freezer
    control: Control
    bus: Bus
    run_hook: RunHook
    find_network: Callable[[str], object]
