"""This host's side of ``cp``: find what to send, and put down what came.

What comes out of a container is a stranger's: it is unpacked beneath its target, and no
link in it leads anywhere else.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from lading.cli.copying import CONTENTS, Source, Target, base, renaming
from lading.cli.faults import Fault
from lading.layer import pack, write
from lading.layer.entry import Entry, Type, components
from lading.layer.read import entries
from lading.layer.unpack import Options, unpack

_PIECE = 256 * 1024


def source(path: str, *, follow: bool) -> Source:
    """What *path* names; a link itself is meant unless a slash follows it, or *follow* is set."""
    whole = posixpath.join(Path.cwd(), path)
    clean = Path(posixpath.normpath(whole))
    through = follow or path.endswith("/") or base(path) == CONTENTS
    try:
        found = clean.resolve(strict=True) if through else clean.parent.resolve() / clean.name
        mode = found.lstat().st_mode
    except (OSError, RuntimeError) as error:
        raise _missing(str(clean), error) from None
    is_directory = stat.S_ISDIR(mode)
    if not is_directory and not follow and through:
        raise Fault(f"lstat {path}: not a directory")
    return Source(str(found), base(whole), is_directory=is_directory)


def target(path: str) -> Target:
    """What is at *path*, links followed; Fault where not even its directory is."""
    whole = posixpath.join(Path.cwd(), path)
    real = Path(posixpath.normpath(whole)).resolve()
    tail = "/." if base(whole) == CONTENTS else "/" if path.endswith("/") else ""
    if real.is_dir():
        return Target(str(real), is_directory=True)
    if real.exists():
        if not real.is_file():
            raise Fault(f'invalid output path: "{path}" must be a directory or a regular file')
        return Target(str(real) + tail, is_directory=False)
    needed = real if tail == "/." else real.parent
    if not needed.is_dir():
        raise Fault(f'invalid output path: directory "{needed}" does not exist')
    return Target(str(real) + tail, is_directory=None)


def send(found: Source, name: str, out: Callable[[bytes], object]) -> None:
    """Write the source as a tar whose top is called *name*."""
    top, into = os.fsencode(name), _Out(out)
    if found.is_directory:
        pack.tree(Path(found.path), into, prefix=top)
        return
    path = Path(found.path)
    pack.single(path.parent, os.fsencode(path.name), into, name=top)


def receive(pieces: Iterable[bytes], directory: str, old: str, new: str, *, owners: bool) -> None:
    """Unpack a tar in *directory*, its top *old* under the name *new*.

    Everything belongs to the user, unless the *owners* in the tar are to be kept; without
    them the directory itself stays as it is.
    """
    owner = None if owners else (os.geteuid(), os.getegid())
    members = _renamed(Pieces(iter(pieces)), old, new, top=owners)
    renamed = io.BufferedReader(Pieces(members), _PIECE)
    unpack(cast(BinaryIO, renamed), Path(directory), options=Options(owner=owner, keep_types=True))


def _renamed(stream: Pieces, old: str, new: str, *, top: bool) -> Iterator[bytes]:
    rename = renaming(old, new)
    for entry, body in entries(cast(BinaryIO, io.BufferedReader(stream, _PIECE))):
        parts = rename(entry.parts)
        if not parts and not top:
            continue
        entry.name = _name(entry, parts)
        if entry.type is Type.HARDLINK:
            entry.target = b"/".join(rename(components(entry.target)))
        yield write.header(entry)
        while piece := body.read(_PIECE):
            yield piece
        yield write.padding(entry.stored)
    yield write.END


def _name(entry: Entry, parts: tuple[bytes, ...]) -> bytes:
    name = b"/".join(parts) or b"."
    return name + b"/" if entry.type is Type.DIRECTORY else name


class _Out:
    """A function as something to write to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


class Pieces(io.RawIOBase):
    """An iterator of bytes as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._kept = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._kept:
            try:
                self._kept = memoryview(next(self._pieces))
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._kept))
        buffer[:size] = self._kept[:size]
        self._kept = self._kept[size:]
        return size


def _missing(path: str, error: Exception) -> Fault:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Fault(f"lstat {path}: {(reason or '').lower()}")
