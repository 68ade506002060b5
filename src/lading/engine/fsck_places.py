"""Whether containers and volumes have their files, and mounts and folders their owners."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lading.container.record import Container
from lading.engine.fsck_values import Fault, Finding, Gravity
from lading.errors import LadingError
from lading.linux import mounts
from lading.settings import Settings
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.trash import throw_away
from lading.volume.values import Volume

_ID = re.compile(r"[0-9a-f]{64}")
_YOUNG = 3600  # seconds in which a folder may belong to something that is being made

ListContainers = Callable[[], Sequence[Container]]


def containers(snapshotter: Snapshotter, listed: ListContainers) -> Iterator[Fault]:
    """Containers that cannot be mounted."""
    for container in listed():
        try:
            snapshotter.mounts(container.id)
        except (LadingError, OSError) as error:
            if any(each.id == container.id for each in listed()):  # not removed meanwhile
                remedy = f"load or pull {container.config.image} again, or remove the container"
                yield Fault(Finding("container", container.name, str(error), remedy))


def volumes(settings: Settings, listed: Sequence[Volume]) -> Iterator[Fault]:
    """Volumes without files, and files without a volume."""
    for volume in listed:
        if not volume.path.is_dir():
            problem = f"{volume.path} is missing"
            remedy = "restore it from a backup, or remove the volume"
            yield Fault(Finding("volume", volume.name, problem, remedy))
    names = {volume.name for volume in listed}
    for home in _folders(settings.volumes):
        if home.name not in names:
            problem = "it has files and no row"
            remedy = f"lading volume create {home.name} takes it up"
            yield Fault(Finding("volume", home.name, problem, remedy, Gravity.NOTE))


def stale_mounts(
    settings: Settings, snapshotter: Snapshotter, listed: ListContainers
) -> Iterator[Fault]:
    """What is mounted below the root, and belongs to nothing; what errands mount is theirs."""
    root = Path(os.path.realpath(settings.root))
    layers = {layer.hex for layer in snapshotter.layers()}
    known = {container.id for container in listed()}
    for entry in mounts.table():
        if not entry.target.is_relative_to(root):
            continue
        parts = entry.target.relative_to(root).parts
        of_container = parts[:1] == ("containers",) and _ID.fullmatch(parts[1])
        is_stale = (of_container and parts[1] not in known) or (
            parts[:2] == ("layers", "erofs") and parts[2] not in layers
        )
        if is_stale:
            problem, remedy = "nothing that is known uses it", "lading fsck --repair unmounts it"
            found = Finding("mount", str(entry.target), problem, remedy, Gravity.LEFTOVER)
            yield Fault(found, partial(_unmount, entry.target))


def stale_folders(
    settings: Settings, snapshotter: Snapshotter, listed: ListContainers
) -> Iterator[Fault]:
    """Folders of containers that no row names, for an hour at least."""
    known = {container.id for container in listed()}
    for home in _folders(settings.containers):
        is_old = time.time() - home.stat().st_mtime > _YOUNG
        if _ID.fullmatch(home.name) and home.name not in known and is_old:
            problem, remedy = "no container has it", "lading fsck --repair removes it"
            found = Finding("folder", str(home), problem, remedy, Gravity.LEFTOVER)
            yield Fault(found, partial(_remove, home, snapshotter))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def _unmount(target: Path) -> str:
    mounts.unmount(target, lazy=True)
    return "unmounted"


def _remove(home: Path, snapshotter: Snapshotter) -> str:
    mounts.unmount_below(Path(os.path.realpath(home)))
    snapshotter.remove(home.name)
    throw_away([home], home.parent)
    return "removed"
