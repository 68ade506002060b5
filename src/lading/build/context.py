"""A build's context: the files that came with it, in a directory that is gone with the build.

The tar is a stranger's.  What the context's own .dockerignore leaves out is removed, whoever
sent it; the Dockerfile is read before that.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lading.build import globs
from lading.build.ignore import NO_MATCH, Ignore
from lading.errors import Invalid
from lading.layer.compression import decompress
from lading.layer.pack import walk
from lading.layer.unpack import Options, unpack
from lading.linux.paths import open_in_root

_NAMES = ("Dockerfile", "dockerfile")
_IGNORE = ".dockerignore"
_MOST_BYTES = 16 * 1024 * 1024  # of a Dockerfile
_READ = os.O_RDONLY | os.O_NONBLOCK


class NoDockerfile(Invalid):
    """Raised where the context has none of that name, in Docker's words."""

    def __init__(self, name: str, why: str = "no such file or directory") -> None:
        super().__init__(f"failed to read dockerfile: open {name}: {why}")


class Context:
    """The files below *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def dockerfile(self, name: str) -> tuple[str, bytes]:
        """The Dockerfile *name*, or the usual one: what it is called, its text; NoDockerfile."""
        with self._opened() as root_fd:
            for each in (name,) if name else _NAMES:
                content = _read(root_fd, globs.cleaned(each))
                if content is not None:
                    return each, content
        raise NoDockerfile(name or _NAMES[0])

    def ignore(self, dockerfile: str) -> Ignore | None:
        """What is to be left out: by the Dockerfile's own list, or the context's."""
        with self._opened() as root_fd:
            for name in (f"{dockerfile}{_IGNORE}", _IGNORE):
                content = _read(root_fd, globs.cleaned(name))
                if content is not None:
                    return Ignore.parse(content)
        return None

    def prune(self, ignore: Ignore) -> None:
        """Remove everything that *ignore* leaves out."""
        matches = {b"": NO_MATCH}
        gone: list[bytes] = []
        directories: set[bytes] = set()
        for path in walk(self.root):
            above = path.rpartition(b"/")[0]
            matches[path] = ignore.match(os.fsdecode(path), matches[above])
            if ignore.excluded(matches[path]):
                gone.append(path)
            else:
                while above and above not in directories:
                    directories.add(above)
                    above = above.rpartition(b"/")[0]
        for path in reversed(gone):
            if path not in directories:
                _remove(self.root / os.fsdecode(path))

    @contextmanager
    def _opened(self) -> Iterator[int]:
        root_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield root_fd
        finally:
            os.close(root_fd)


@contextmanager
def received(stream: BinaryIO | None, place: Path) -> Iterator[Context]:
    """The context in the tar *stream*, compressed or not, unpacked at *place*; InvalidTar."""
    place.mkdir(mode=0o700, parents=True)
    try:
        root = place / "context"
        root.mkdir(mode=0o755)
        if stream is not None:
            unpack(decompress(stream), root, options=Options(owner=(0, 0)))
        yield Context(root)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _read(root_fd: int, path: bytes) -> bytes | None:
    """A regular file of the context, links followed inside it; None where there is none."""
    try:
        fd = open_in_root(root_fd, path, _READ)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with open(fd, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise NoDockerfile(os.fsdecode(path), "is not a regular file")
        if found.st_size > _MOST_BYTES:
            raise NoDockerfile(os.fsdecode(path), f"has more than {_MOST_BYTES} bytes")
        return file.read()


def _remove(path: Path) -> None:
    """A file or an empty directory; one that something is left in stays."""
    try:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
