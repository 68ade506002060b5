"""What takes space and is of no use: found, measured, and freed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lading.engine.fsck_values import Fault, Finding, Gravity, Use
from lading.image.library import Library
from lading.settings import Settings

_UNIT = 512  # of `st_blocks`


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is of no use; *size* in bytes of disk."""

    kind: str  # "blob", "layer", "damaged blob" or "row"
    name: str
    size: int


def pieces(library: Library, settings: Settings) -> list[Piece]:
    """All garbage, the largest first."""
    found, tars = library.garbage(), set()
    listed = []
    for diff_id in found.layers:
        home = library.snapshotter.location(diff_id)
        listed.append(Piece("layer", str(diff_id), taken(home) if home else 0))
        tars.add(diff_id)
    for digest in found.blobs:
        if not library.blobs.has(digest):
            listed.append(Piece("row", f"layer {digest}", 0))
        else:  # the blob that is a layer's very tar counts once
            listed.append(
                Piece("blob", str(digest), 0 if digest in tars else library.blobs.size(digest))
            )
    listed += [Piece("damaged blob", p.name, taken(p)) for p in _put_aside(settings)]
    return sorted(listed, key=lambda piece: (-piece.size, piece.name))


def faults(library: Library, settings: Settings) -> Iterator[Fault]:
    """Each piece of garbage as a finding."""
    for piece in pieces(library, settings):
        is_aside = piece.kind == "damaged blob"
        problem = "it was put aside" if is_aside else "nothing needs it"
        found = Finding(piece.kind, piece.name, problem, "lading gc frees it", Gravity.LEFTOVER)
        yield Fault(found, None if is_aside else partial(_free, library))


def collect(library: Library, settings: Settings) -> None:
    """Free all garbage; whatever comes in meanwhile is left alone."""
    library.sweep()
    for path in _put_aside(settings):
        path.unlink(missing_ok=True)


def _free(library: Library) -> str:
    library.sweep()
    return "freed"


def _put_aside(settings: Settings) -> list[Path]:
    return sorted((settings.blobs / "damaged").glob("*"))


def usage(library: Library, settings: Settings) -> list[Use]:
    """What lies in each part of the root, and how much of it the rows account for."""
    garbage = pieces(library, settings)
    seen: set[tuple[int, int]] = set()  # a blob that is a layer's tar is counted as the blob
    uses = []
    for kind, folder in (
        ("blobs", settings.blobs),
        ("layers", settings.layers),
        ("containers", settings.containers),
        ("volumes", settings.volumes),
    ):
        size = taken(folder, seen)
        lost = sum(piece.size for piece in garbage if piece.kind.endswith(kind[:-1]))
        uses.append(Use(kind, size, max(0, size - lost)))
    return uses


def taken(path: Path, seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes of disk below *path*, other file systems left out; an inode in *seen* counts 0."""
    seen = set() if seen is None else seen
    try:
        device, total = path.lstat().st_dev, 0
    except FileNotFoundError:
        return 0
    waiting = [path]
    while waiting:
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            size, inner = _look(waiting.pop(), device, seen)
            total += size
            waiting += inner
    return total


def _look(path: Path, device: int, seen: set[tuple[int, int]]) -> tuple[int, list[Path]]:
    found = path.lstat()
    inode = (found.st_dev, found.st_ino)
    if found.st_dev != device or inode in seen:
        return 0, []
    if found.st_nlink > 1:
        seen.add(inode)
    is_folder = path.is_dir() and not path.is_symlink()
    return found.st_blocks * _UNIT, list(path.iterdir()) if is_folder else []
