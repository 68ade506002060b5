"""Where a snapshot lies on this host, read off its mounts: ``GraphDriver.Data``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lading.errors import LadingError
from lading.linux.mounts import Mount
from lading.snapshot.protocol import Snapshotter


def graph_of(snapshotter: Snapshotter, key: str, directory: Path) -> dict[str, str]:
    """LowerDir, UpperDir, WorkDir and MergedDir of the snapshot *key*; nothing when it is lost."""
    try:
        mounts = snapshotter.mounts(key)
    except LadingError:
        return {}
    return described(mounts, directory)


def described(mounts: Iterable[Mount], directory: Path) -> dict[str, str]:
    """The same, read off *mounts*: the last overlay among them, or a directory that is bound."""
    merged = {"MergedDir": str(directory / "rootfs")}
    for mount in reversed(list(mounts)):
        if mount.type == "overlay":
            return merged | _overlay(mount.options)
        if "bind" in mount.options or "rbind" in mount.options:
            return merged | {"UpperDir": mount.source}
    return merged


def _overlay(options: Iterable[str]) -> dict[str, str]:
    lower: list[str] = []
    found = {}
    for option in options:
        key, _, value = option.partition("=")
        if key in ("lowerdir", "lowerdir+"):
            lower.append(value)
        elif key in ("upperdir", "workdir"):
            found["UpperDir" if key == "upperdir" else "WorkDir"] = value
    return {"LowerDir": ":".join(lower), **found}
