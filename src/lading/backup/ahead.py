"""Volumes laid out before their container is restored, and brought up to date again and again.

What a tree has as the tree before it had it stays as it lies there; only the rest is made anew.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from lading.backup.bill import Part
from lading.backup.contents import Contents
from lading.backup.laying import lay
from lading.backup.tree import Entry, Kind, Tree
from lading.linux.paths import open_beneath
from lading.volume.volumes import Arrival, Volumes

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Ahead:
    """Staged volumes by name.  `close` it, or `release` it when others have taken them over."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._laid: dict[str, tuple[Arrival, Tree]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._laid

    def lay(self, name: str, part: Part, tree: Tree, contents: Contents) -> Arrival:
        """The volume as *tree* has it, not synced; what cannot be laid out is thrown away."""
        known = self._laid.pop(name, None)
        if known is None:
            arrival = self._volumes.stage(name, part.labels, anonymous=part.anonymous)
        else:
            arrival = known[0]
        try:
            if known is None:
                lay(tree, contents, arrival.files)
            else:
                renew(known[1], tree, contents, arrival.files)
        except BaseException:
            self._volumes.turn_away(arrival)
            raise
        self._laid[name] = (arrival, tree)
        return arrival

    def release(self) -> None:
        """They are volumes now."""
        self._laid.clear()

    def close(self) -> None:
        """Throw away what nobody took over; idempotent."""
        while self._laid:
            _, (arrival, _) = self._laid.popitem()
            self._volumes.turn_away(arrival)


def renew(before: Tree, after: Tree, contents: Contents, top: Path) -> None:
    """Make of *before*, which lies beneath *top*, what *after* says."""
    old = {entry.path: entry for entry in before.entries}
    kept = {entry.path for entry in after.entries if _is_kept(old, entry)}
    new = {entry.path for entry in after.entries}
    _remove(top, sorted(old.keys() - new, reverse=True))
    lay(Tree(after.packs, list(_wanted(after, kept))), contents, top)


def _wanted(after: Tree, kept: set[bytes]) -> Iterator[Entry]:
    """What is to be made: directories always, for changes beneath them move their times."""
    for entry in after.entries:
        is_link = entry.kind == Kind.HARDLINK
        source = entry.target if is_link else entry.path
        if entry.kind == Kind.DIRECTORY or not {entry.path, source} <= kept:
            yield entry


def _is_kept(old: Mapping[bytes, Entry], entry: Entry) -> bool:
    """Whether the file surely is as it was: by the rule that backups themselves go by."""
    was = old.get(entry.path)
    return was is not None and was.settled and _essence(was) == _essence(entry)


def _essence(entry: Entry) -> tuple[object, ...]:
    owner = (entry.mode, entry.uid, entry.gid, entry.xattrs)
    times = (entry.mtime, entry.ctime, entry.inode)
    return (entry.kind, entry.size, entry.target, entry.major, entry.minor, *owner, *times)


def _remove(top: Path, paths: list[bytes]) -> None:
    descriptor = os.open(top, _DIRECTORY)
    try:
        for path in paths:
            _remove_one(descriptor, path)
    finally:
        os.close(descriptor)


def _remove_one(top: int, path: bytes) -> None:
    above, _, name = path.rpartition(b"/")
    parent = open_beneath(top, above or b".", _PARENT, symlinks=False)
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(os.fsdecode(name), dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
    finally:
        os.close(parent)
