"""The directories of ``RUN --mount=type=cache``, which outlive builds and belong to no image.

Each lies below a name that is the hash of its identity, so that no identity, whatever it says,
leads anywhere else; it is mounted whole, never a part of it that a command could swap.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from lading.layer.pack import walk

Fill = Callable[[Path], None]
_CONTENT = "content"


@dataclass(frozen=True, slots=True)
class CacheDirectory:
    """One of them: its name on disk, the bytes in it, when it was last used (nanoseconds)."""

    name: str
    size: int
    used: int


class Caches:
    """The cache directories below *folder*; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._change = threading.Condition()
        self._holders: Counter[str] = Counter()
        self._locked: set[str] = set()

    @contextmanager
    def held(
        self,
        identity: str,
        *,
        sharing: str,
        fill: Fill,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Path]:
        """The directory of *identity*, made and *fill*ed where it is new.

        *sharing*: ``shared`` by all, ``locked`` for one after the other, ``private`` to each.
        """
        name = hashlib.sha256(identity.encode()).hexdigest()
        chosen = self._take(name, sharing, is_cancelled)
        try:
            yield self._made(chosen, fill)
        finally:
            with self._change:
                self._holders[chosen] -= 1
                self._locked.discard(chosen)
                self._change.notify_all()

    def list(self) -> list[CacheDirectory]:
        """Those that are here, with their sizes."""
        return [
            CacheDirectory(place.name, _size(place), place.stat().st_mtime_ns)
            for place in sorted(self._folder.glob("[0-9a-f]*"))
        ]

    def remove(self, name: str) -> bool:
        """Free one; False where a build is using it."""
        with self._change:
            if self._holders[name] > 0:
                return False
            aside = self._folder / f".gone-{token_hex(8)}"
            try:
                (self._folder / name).rename(aside)
            except FileNotFoundError:
                return False
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def sweep(self) -> None:
        """Remove what a crash left half made; for the start."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in self._folder.glob(".*"):
            shutil.rmtree(place, ignore_errors=True)

    def _take(self, name: str, sharing: str, is_cancelled: Callable[[], bool]) -> str:
        with self._change:
            if sharing == "private":
                count = 0
                while self._holders[_numbered(name, count)]:
                    count += 1
                name = _numbered(name, count)
            while name in self._locked or (sharing == "locked" and self._holders[name]):
                if is_cancelled():
                    break  # whoever cancelled it will not let it run
                self._change.wait(0.2)
            self._holders[name] += 1
            if sharing == "locked":
                self._locked.add(name)
        return name

    def _made(self, name: str, fill: Fill) -> Path:
        place = self._folder / name
        with self._change:
            if not place.exists():
                part = self._folder / f".new-{token_hex(8)}"
                (part / _CONTENT).mkdir(parents=True)
                try:
                    fill(part / _CONTENT)
                    part.rename(place)
                except BaseException:
                    shutil.rmtree(part, ignore_errors=True)
                    raise
        os.utime(place)
        return place / _CONTENT


def _numbered(name: str, count: int) -> str:
    return f"{name}-{count}" if count else name


def _size(place: Path) -> int:
    """Bytes on disk below *place*, links not followed."""
    total = 0
    for path in walk(place):
        try:
            total += (place / os.fsdecode(path)).lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total
