"""What a user names to load or import, as a body to send: a file, a directory, or a pipe."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lading.cli.faults import Fault
from lading.cli.terminal import STDIN, is_terminal
from lading.cli.upload import Body, Write

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE = 1024 * 1024
_MARKS = ("oci-layout", "index.json", "manifest.json")  # one of them makes it an image's


@contextmanager
def from_input(verb: str) -> Iterator[Body]:
    """Standard input; Fault where it is a terminal, for nobody types an archive."""
    if is_terminal(STDIN):
        raise Fault(f"requested {verb} from stdin, but stdin is empty")
    yield _of_descriptor(STDIN)


@contextmanager
def from_path(path: str, *, layouts: bool = False) -> Iterator[Body]:
    """The file at *path*, or (with *layouts*) the image layout that the directory is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Fault(f"open {path}: {(error.strerror or '').lower()}") from None
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            yield _of_descriptor(descriptor)
        elif layouts:
            yield _of_layout(Path(path))
        else:
            raise Fault(f"read {path}: is a directory")
    finally:
        os.close(descriptor)


def _of_descriptor(descriptor: int) -> Body:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return Body(lambda write: _copy(descriptor, write))
    length = max(0, found.st_size - os.lseek(descriptor, 0, os.SEEK_CUR))
    return Body(lambda write: _copy_exactly(descriptor, length, write), length=length)


def _copy(descriptor: int, write: Write) -> None:
    while piece := os.read(descriptor, _PIECE):
        write(piece)


def _copy_exactly(descriptor: int, length: int, write: Write) -> None:
    """The length was promised: what is added meanwhile is left, what is missing is a fault."""
    while length > 0:
        piece = os.read(descriptor, min(_PIECE, length))
        if not piece:
            raise Fault("the archive became shorter while it was read")
        write(piece)
        length -= len(piece)


def _of_layout(directory: Path) -> Body:
    """An image layout as a tar stream, its documents before its blobs."""
    if not any((directory / mark).is_file() for mark in _MARKS):
        raise Fault(f"{directory} is not an image layout: it has no {' nor '.join(_MARKS)}")
    files = sorted(_files(directory), key=lambda path: (len(path.parts), path))
    expected = sum(path.stat().st_size for path in files)
    return Body(lambda write: _pack(directory, files, write), expected=expected)


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield path


class _Stream(io.RawIOBase):
    """Where `tarfile` writes to."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, piece: Buffer) -> int:
        raw = bytes(piece)
        self._write(raw)
        return len(raw)


def _pack(directory: Path, files: list[Path], write: Write) -> None:
    import tarfile

    with tarfile.open(mode="w|", fileobj=_Stream(write), bufsize=_PIECE) as tar:
        for path in files:
            with path.open("rb") as content:
                entry = tarfile.TarInfo(str(path.relative_to(directory)))
                entry.size = os.fstat(content.fileno()).st_size
                tar.addfile(entry, content)
