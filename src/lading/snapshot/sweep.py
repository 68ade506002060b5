"""What an engine that was cut off left behind, cleared away before the next one begins."""

from __future__ import annotations

from pathlib import Path

from lading.linux.mounts import unmount_below
from lading.snapshot import records
from lading.snapshot.trash import STAGING, sweep, throw_away


def clear(layers: Path, active: Path) -> None:
    """Remove unfinished layers and snapshots, of all drivers; only while none is at work.

    *layers* and *active* are what the drivers are given; either may be missing yet.
    """
    for folder in (active, *layers.glob("*/"), *layers.glob("*/stacks/")):
        for place in folder.glob(f"{STAGING}*/"):
            unmount_below(place)
        sweep(folder)
    for home in active.glob("*/"):
        if not (home / records.NAME).exists():
            _clear_unfinished(home, active)


def _clear_unfinished(home: Path, active: Path) -> None:
    """A snapshot without its record was never acknowledged, or is removed already."""
    throw_away([home / "upper", home / "work", *home.glob(f".{records.NAME}.*")], active)
    if not any(home.iterdir()):
        home.rmdir()
