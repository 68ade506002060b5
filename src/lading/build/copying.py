"""Write the layer that a COPY or ADD makes, straight from the files picked: no container runs.

Where things go is decided as BuildKit does: a directory's content goes into the destination,
a file becomes the destination or goes into it, links in the image are followed inside it, and
what is missing on the way is made.  The same files give the same bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lading.build.landing import Landing, landing, mode_of
from lading.build.picking import Picked, opened, status
from lading.errors import Invalid
from lading.layer import write
from lading.layer.entry import NO_XATTRS, Entry, Type
from lading.layer.pack import Adjust, Output, Packer

_DIRECTORY_MODE = 0o755


class NotADirectory(Invalid):
    """Raised where a directory's content was to go into something else, in Docker's words."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"cannot copy to non-directory: /{os.fsdecode(path)}")


class IsADirectory(Invalid):
    """Raised where a file was to take a directory's place."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"cannot overwrite directory /{os.fsdecode(path)} with a file")


class NeedsADirectory(Invalid):
    """Raised for several sources and a destination that is one file, in Docker's words."""

    def __init__(self, keyword: str) -> None:
        super().__init__(
            f"When using {keyword} with more than one source file, "
            "the destination must be a directory and end with a /"
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """What the copies are to look like: owner, mode (from the old one), times not after *epoch*."""

    owner: tuple[int, int] | None = None  # None: as the source has it
    mode: Callable[[int, bool], int] | None = None  # (old mode, whether a directory)
    epoch: int | None = None  # seconds since 1970

    def apply(self, entry: Entry) -> None:
        """Mark a copied member."""
        if self.owner is not None:
            entry.uid, entry.gid = self.owner
        if self.mode is not None and entry.type is not Type.SYMLINK:
            entry.mode = self.mode(entry.mode, entry.type is Type.DIRECTORY)
        self.clamp(entry)

    def clamp(self, entry: Entry) -> None:
        """Let nothing be newer than the epoch."""
        if self.epoch is not None and entry.mtime >= self.epoch:
            entry.mtime, entry.nanoseconds = self.epoch, 0


def clamped(epoch: int | None) -> Adjust | None:
    """What a layer's members are adjusted by where only times matter."""
    return None if epoch is None else Marks(epoch=epoch).clamp


@dataclass(slots=True)
class Arrangement:
    """Every member by its name: where it is read from, or None for a directory that is made."""

    members: dict[bytes, tuple[Path, bytes] | None] = field(default_factory=dict)
    kept: set[bytes] = field(default_factory=set)  # directories that are the image's own

    def directory(self, root_fd: int | None, path: bytes) -> None:
        """See to it that the directory *path* and all above it are there; NotADirectory."""
        parts = path.split(b"/") if path else []
        for depth in range(1, len(parts) + 1):
            part = b"/".join(parts[:depth])
            mode = mode_of(root_fd, part)
            if mode is not None and not stat.S_ISDIR(mode):
                raise NotADirectory(part)
            if mode is not None and part not in self.members:
                self.kept.add(part)
            self.members.setdefault(part, None)

    def file(self, root_fd: int | None, path: bytes, source: tuple[Path, bytes]) -> None:
        """Put a file at *path*; IsADirectory."""
        mode = mode_of(root_fd, path)
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectory(path)
        self.members[path] = source

    def subdirectory(self, root_fd: int | None, path: bytes, source: tuple[Path, bytes]) -> None:
        """Put a directory at *path*, described by its source; NotADirectory."""
        mode = mode_of(root_fd, path)
        if mode is not None and not stat.S_ISDIR(mode):
            raise NotADirectory(path)
        self.members[path] = source
        self.kept.discard(path)


def arrange(
    root_fd: int | None, picked: Sequence[Picked], destination: str, *, keyword: str = "COPY"
) -> Arrangement:
    """Where everything *picked* goes in the image whose root that is (None: an empty one)."""
    is_place = destination.endswith(("/", "/."))
    if len(picked) > 1 and not is_place:
        raise NeedsADirectory(keyword)
    there = landing(root_fd, destination)
    arrangement = Arrangement()
    for each in picked:
        if each.is_directory:
            _put_directory(arrangement, root_fd, each, there.path)
        else:
            _put_file(arrangement, root_fd, each, there, is_place=is_place)
    return arrangement


def _base(arrangement: Arrangement, root_fd: int | None, each: Picked, place: bytes) -> bytes:
    """The directory that the source's own goes into, after what ``--parents`` keeps."""
    arrangement.directory(root_fd, place)
    for path, name in each.above:
        place_of = _joined(place, name)
        arrangement.subdirectory(root_fd, place_of, (each.root, path))
    return _joined(place, each.above[-1][1]) if each.above else place


def _put_directory(
    arrangement: Arrangement, root_fd: int | None, each: Picked, place: bytes
) -> None:
    base = _base(arrangement, root_fd, each, place)
    with opened(each.root) as source_fd:
        for name, path in each.members():
            target, source = _joined(base, name), (each.root, path)
            if stat.S_ISDIR(status(source_fd, path).st_mode):
                arrangement.subdirectory(root_fd, target, source)
            else:
                arrangement.file(root_fd, target, source)


def _put_file(
    arrangement: Arrangement, root_fd: int | None, each: Picked, there: Landing, *, is_place: bool
) -> None:
    if is_place or there.is_directory or each.above:
        base = _base(arrangement, root_fd, each, there.path)
        arrangement.file(root_fd, _joined(base, each.name), (each.root, each.path))
        return
    arrangement.directory(root_fd, there.path.rpartition(b"/")[0])
    arrangement.file(root_fd, there.path, (each.root, each.path))


def _joined(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above and name else above or name


def write_layer(
    arrangement: Arrangement, image: Path | None, marks: Marks, out: Output, *, made_at: int
) -> None:
    """Write the members as a layer, sorted, parents first.

    Directories that the image has keep its attributes; those that are made are 0755, of the
    owner that the copies have, and as old as *made_at* (nanoseconds).
    """
    with ExitStack() as open_roots:
        packers: dict[Path, Packer] = {}
        for name in sorted(arrangement.members, key=lambda path: path.split(b"/")):
            source = arrangement.members[name]
            adjust: Adjust = marks.apply
            if source is None and name in arrangement.kept and image is not None:
                source, adjust = (image, name), marks.clamp
            if source is None:
                out.write(write.header(_made(name, marks, made_at)))
                continue
            root, path = source
            if root not in packers:
                packers[root] = open_roots.enter_context(Packer(root, out, adjust))
            packers[root].add(path, name)
    out.write(write.END)


def _made(name: bytes, marks: Marks, made_at: int) -> Entry:
    uid, gid = marks.owner or (0, 0)
    seconds, nanoseconds = divmod(made_at, 1_000_000_000)
    entry = Entry(
        *(name + b"/", Type.DIRECTORY, _DIRECTORY_MODE, uid, gid, seconds, nanoseconds),
        *(0, b"", 0, 0, NO_XATTRS, 0, 0),
    )
    marks.clamp(entry)
    return entry


def newest(picked: Sequence[Picked]) -> int:
    """When what was picked was last changed, nanoseconds since 1970.

    Directories that are made are as old, so that the same files make the same layer.
    """
    latest = 0
    for each in picked:
        with opened(each.root) as root_fd:
            for path in (each.path, *(path for _, path in each.members())):
                latest = max(latest, status(root_fd, path).st_mtime_ns)
    return latest
