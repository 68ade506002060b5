"""What a COPY or ADD takes: its sources found below a root, and every file in them.

Nothing is decided of where they go.  A picked file's content is known by `Fingerprints`, which
never looks at times: the same files fetched another day are the same.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.build import globs
from lading.build.ignore import NO_MATCH, Ignore
from lading.errors import Invalid
from lading.layer.pack import walk
from lading.linux.paths import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_PIVOT = "/./"


class NothingMatches(Invalid):
    """Raised for a source that is not there, in Docker's words."""

    def __init__(self, source: str, whence: str) -> None:
        super().__init__(
            f"COPY failed: file not found in {whence}: "
            f"stat {posixpath.normpath(source)}: file does not exist"
        )


@dataclass(frozen=True, slots=True)
class Picked:
    """One source: *path* below *root*, links followed, and for a directory what is in it.

    *name* is what it is called where it comes into a directory; *above* are the directories,
    paths below *root*, that ``--parents`` keeps, each with the name it has at the destination.
    """

    root: Path
    path: bytes
    name: bytes
    is_directory: bool
    inner: tuple[bytes, ...] = ()
    above: tuple[tuple[bytes, bytes], ...] = ()

    def members(self) -> Iterator[tuple[bytes, bytes]]:
        """The name below the source, and the path below the root, of all that is in it."""
        for path in self.inner:
            yield path, self.path + b"/" + path if self.path else path


def pick(
    root: Path,
    sources: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    parents: bool = False,
    whence: str = "build context",
) -> list[Picked]:
    """Everything that *sources* name below *root*; NothingMatches, BadPattern."""
    ignore = Ignore.of(exclude) if exclude else None
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        picked: list[Picked] = []
        for source in sources:
            matches = globs.found(root_fd, globs.cleaned(source))
            if not matches:
                raise NothingMatches(source, whence)
            depth = _pivot(source) if parents else -1
            every = (_picked(root, root_fd, match, ignore, depth) for match in matches)
            picked += [each for each in every if each is not None]
        return picked
    finally:
        os.close(root_fd)


def _pivot(source: str) -> int:
    """How many leading directories ``--parents`` leaves out: those before ``/./``."""
    before, found, _ = source.partition(_PIVOT)
    return len([part for part in before.split("/") if part not in ("", ".")]) if found else 0


def _picked(
    root: Path, root_fd: int, match: bytes, ignore: Ignore | None, depth: int
) -> Picked | None:
    path = globs.real(root_fd, match)
    if path is None:
        raise NothingMatches(os.fsdecode(match), "build context")
    name = match.rpartition(b"/")[2]
    is_directory = globs.is_directory(root_fd, path)
    if ignore is not None and not is_directory and ignore.excludes(os.fsdecode(name)):
        return None
    inner = tuple(_inner(root_fd, path, ignore)) if is_directory else ()
    above: list[tuple[bytes, bytes]] = []
    if depth >= 0:
        parts = match.split(b"/") if match else []
        last = len(parts) + (1 if is_directory else 0)
        above = [
            (b"/".join(parts[:end]), b"/".join(parts[depth:end])) for end in range(depth + 1, last)
        ]
    return Picked(root, path, name, is_directory, inner, tuple(above))


def _inner(root_fd: int, top: bytes, ignore: Ignore | None) -> Iterator[bytes]:
    """The paths below the directory *top*, parents first, sorted, those excluded left out."""
    start = open_beneath(root_fd, top or b".", _DIRECTORY, symlinks=False)
    try:
        paths = walk(f"/proc/self/fd/{start}/.")
        yield from paths if ignore is None else _kept(paths, ignore)
    finally:
        os.close(start)


def _kept(paths: Iterator[bytes], ignore: Ignore) -> Iterator[bytes]:
    """Those that are not excluded, and the directories that lead to them."""
    matches = {b"": NO_MATCH}
    given: set[bytes] = set()
    for path in paths:
        above = path.rpartition(b"/")[0]
        matches[path] = ignore.match(os.fsdecode(path), matches[above])
        if ignore.excluded(matches[path]):
            continue
        parts = path.split(b"/")
        for depth in range(1, len(parts) + 1):
            part = b"/".join(parts[:depth])
            if part not in given:
                given.add(part)
                yield part


@contextmanager
def opened(root: Path) -> Iterator[int]:
    """A descriptor of the directory, while the context lasts."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield root_fd
    finally:
        os.close(root_fd)


def status(root_fd: int, path: bytes) -> os.stat_result:
    """What is at a path that was picked: no directory in it is a link, and nobody changes it."""
    return os.stat(path or b".", dir_fd=root_fd, follow_symlinks=False)


class Fingerprints:
    """What files are, by content and attributes; each file is read once."""

    def __init__(self) -> None:
        self._contents: dict[tuple[int, ...], bytes] = {}

    def of(self, picked: Sequence[Picked]) -> str:
        """One digest over all that was *picked*."""
        whole = hashlib.sha256()
        for each in picked:
            with opened(each.root) as fd:
                _feed(whole, b"source", each.name, b"d" if each.is_directory else b"f")
                for path, name in each.above:
                    self._member(whole, fd, path, name)
                if not each.is_directory:
                    self._member(whole, fd, each.path, b"")
                for name, path in each.members():
                    self._member(whole, fd, path, name)
        return whole.hexdigest()

    def _member(self, whole: hashlib._Hash, root_fd: int, path: bytes, name: bytes) -> None:
        found = status(root_fd, path)
        owner = b"%d:%d" % (found.st_uid, found.st_gid)
        _feed(whole, name, b"%o" % found.st_mode, owner)
        if stat.S_ISREG(found.st_mode):
            _feed(whole, self._content(root_fd, path, found))
        elif stat.S_ISLNK(found.st_mode):
            _feed(whole, os.readlink(path, dir_fd=root_fd))
        else:
            _feed(whole, b"%d" % found.st_rdev)
        for key, value in _xattrs(Path(f"/proc/self/fd/{root_fd}") / os.fsdecode(path)):
            _feed(whole, key, value)

    def _content(self, root_fd: int, path: bytes, found: os.stat_result) -> bytes:
        """The hash of a file's bytes, read only where it could have changed since."""
        known = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if known not in self._contents:
            with open(open_beneath(root_fd, path, _READ, symlinks=False), "rb") as file:
                self._contents[known] = hashlib.file_digest(file, "sha256").digest()
        return self._contents[known]


def _feed(whole: hashlib._Hash, *parts: bytes) -> None:
    """Add *parts* so that no two lists of parts read the same."""
    for part in parts:
        whole.update(b"%d:" % len(part) + part)


def _xattrs(place: Path) -> list[tuple[bytes, bytes]]:
    found = []
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError:
        return []
    for name in sorted(names):
        if not name.startswith(("trusted.overlay.", "user.overlay.", "security.selinux")):
            value = os.getxattr(place, name, follow_symlinks=False)
            found.append((os.fsencode(name), value))
    return found
