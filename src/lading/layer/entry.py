"""One member of a tar, as a value; names are bytes, exactly as they came."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from lading.errors import Invalid

_MOST_PATH = 4096  # PATH_MAX
_MOST_NAME = 255
_IDLE = (b"", b".")


class InvalidTar(Invalid):
    """Raised for a stream that is not a sound tar."""

    def __init__(self, why: str) -> None:
        super().__init__(f"invalid tar: {why}")


class UnsafeName(InvalidTar):
    """Raised for a name that has no place beneath a root."""

    def __init__(self, name: bytes, why: str) -> None:
        shown = name[:200].decode(errors="backslashreplace")
        super().__init__(f"{why}: {shown!r}")
        self.name = name


class Type(Enum):
    """What a member makes; the value is its file type for `stat`, 0 for a hard link."""

    FILE = stat.S_IFREG
    DIRECTORY = stat.S_IFDIR
    SYMLINK = stat.S_IFLNK
    CHARACTER = stat.S_IFCHR
    BLOCK = stat.S_IFBLK
    FIFO = stat.S_IFIFO
    HARDLINK = 0


NO_XATTRS: Mapping[bytes, bytes] = MappingProxyType({})


@dataclass(slots=True)
class Entry:
    """A member's header.

    *size* is the file's size; *stored* the bytes that follow in the tar from *offset* on,
    which differ for a sparse file: it has *segments*, (offset, length) pairs in order.
    """

    name: bytes
    type: Type
    mode: int  # permission bits, set-ID and sticky included
    uid: int
    gid: int
    mtime: int  # seconds since 1970, may be negative
    nanoseconds: int
    size: int
    target: bytes
    major: int
    minor: int
    xattrs: Mapping[bytes, bytes]
    stored: int
    offset: int
    segments: tuple[tuple[int, int], ...] | None = None

    @property
    def mtime_ns(self) -> int:
        return self.mtime * 1_000_000_000 + self.nanoseconds

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The name's components; UnsafeName."""
        return components(self.name)


def components(name: bytes) -> tuple[bytes, ...]:
    """The parts of *name* below a root: a leading slash is ignored, ``..`` refused (UnsafeName)."""
    if len(name) > _MOST_PATH:
        raise UnsafeName(name, f"name longer than {_MOST_PATH} bytes")
    parts = tuple([part for part in name.split(b"/") if part not in _IDLE])  # a list is faster
    if len(name) <= _MOST_NAME and b".." not in parts:
        return parts
    for part in parts:
        if part == b"..":
            raise UnsafeName(name, "name leads out of the archive")
        if len(part) > _MOST_NAME:
            raise UnsafeName(name, f"component longer than {_MOST_NAME} bytes")
    return parts
