"""Which snapshotter this host can use, found out by trying."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.errors import Invalid, Unsupported
from lading.linux.mounts import MountFailed, perform, unmount
from lading.settings import Settings
from lading.snapshot import erofs_image
from lading.snapshot.copying import Copying
from lading.snapshot.erofs import Erofs
from lading.snapshot.erofs_mounts import mount
from lading.snapshot.erofs_tree import Node, Tree
from lading.snapshot.joined import joined
from lading.snapshot.overlay import Overlay
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.stacking import overlay
from lading.snapshot.sweep import clear
from lading.snapshot.trash import Later, at_once

DRIVERS: Mapping[str, Callable[[Path, Path, Later], Snapshotter]] = {
    "erofs": Erofs,
    "overlay": Overlay,
    "copying": Copying,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver, and why it is this one."""

    snapshotter: Snapshotter
    reason: str


def choose(settings: Settings, later: Later = at_once) -> Choice:
    """The driver that was asked for, or the best that works here; Invalid, Unsupported.

    What an engine before this one left unfinished is removed: call it once, before anything
    else works on the root.  What is freed is deleted by *later*.  What other drivers made on
    this root stays usable.
    """
    clear(settings.layers, settings.containers)
    failures = probe(settings.root)
    name, reason = _decide(settings.snapshotter, failures)
    others = [other for other in DRIVERS if other != name and (settings.layers / other).is_dir()]
    drivers = [DRIVERS[n](settings.layers, settings.containers, later) for n in (name, *others)]
    return Choice(joined(drivers, settings.containers), reason)


def _decide(wanted: str | None, failures: Mapping[str, str]) -> tuple[str, str]:
    """The driver's name, and the reason."""
    if wanted is None:
        name = next(name for name in DRIVERS if not failures[name])
        passed = [f"{other} does not work here: {why}" for other, why in failures.items() if why]
        return name, "; ".join(passed) or "it mounts, and reads what it should"
    if wanted not in DRIVERS:
        raise Invalid(f"unknown snapshotter {wanted!r}: choose one of {', '.join(DRIVERS)}")
    if failures[wanted]:
        raise Unsupported(f"snapshotter {wanted} does not work here: {failures[wanted]}")
    return wanted, "it was asked for"


def probe(root: Path) -> dict[str, str]:
    """Why each driver cannot be used on *root*, empty for one that can; real mounts are tried."""
    root.mkdir(mode=0o710, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=root) as place:
        stacked = _tried(lambda: _try_overlay(Path(place)))
        return {
            "erofs": stacked or _tried(lambda: _try_erofs(Path(place))),
            "overlay": stacked,
            "copying": "",
        }


def _tried(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except (MountFailed, OSError) as error:
        return str(error)
    return ""


def _try_overlay(place: Path) -> None:
    lower, upper, work, target = (place / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, target):
        folder.mkdir()
    (lower / "file").write_text("probe")
    perform((overlay([lower], f"upperdir={upper}", f"workdir={work}"),), target)
    try:
        (target / "file").write_text("written")
        if (lower / "file").read_text() != "probe":
            raise OSError("overlayfs wrote through to a layer")
    finally:
        unmount(target, lazy=True)


def _try_erofs(place: Path) -> None:
    """Mount an index of one file, and read that file by way of it."""
    index, tar, target = place / "probe.erofs", place / "probe.tar", place / "erofs"
    tar.write_bytes(b"probe".ljust(1024, b"\0"))
    tree = Tree()
    tree.put((b"file",), Node(0o100644, size=5))
    image = io.BytesIO()
    erofs_image.write(tree.root, image, io.BytesIO(), tar_bytes=1024, name=bytes(16))
    index.write_bytes(image.getvalue())
    target.mkdir()
    mount(index, tar, target)
    try:
        if (target / "file").read_bytes() != b"probe":
            raise OSError("EROFS read other bytes than were written")
    finally:
        unmount(target, lazy=True)
