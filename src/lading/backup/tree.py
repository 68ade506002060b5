"""Trees: the files of one part of a backup, and where their chunks lie (pure).

A tree names its packs once, and each file's content as runs of chunks in them.  The same
entries give the same bytes.
"""

from __future__ import annotations

import io
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import BinaryIO, cast

import msgspec
import zstandard

from lading.errors import Corrupt, Unsupported
from lading.layer.entry import UnsafeName, components
from lading.oci.digest import Digest

VERSION = 1
MAGIC = b"LADTREE1"
_BLOCK = 1024  # entries that are written together
_MOST_BLOCK = 256 * 1024 * 1024
_MOST_WINDOW = 128 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_LEVEL = 3

Run = tuple[int, int, int]  # a pack's number in the tree, the first chunk's in the pack, how many


class InvalidTree(Corrupt):
    """Raised for bytes that are not a sound tree."""

    def __init__(self, why: str) -> None:
        super().__init__(f"damaged tree: {why}")


class Kind(IntEnum):
    """What an entry is."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2
    CHARACTER = 3
    BLOCK = 4
    FIFO = 5
    HARDLINK = 6
    DELETED = 7  # of a writable layer: what the image has there is gone


FORMATS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One name; *path* is relative, without outer slashes, and empty for the top itself.

    *target* is a symbolic link's text, or the path that a hard link is another name of.
    *extents* are the (offset, length) pieces of a sparse file that hold data, None for a file
    without holes; the chunks of its *runs* are those pieces, one after the other.  What follows
    lets the next backup know the file again: *settled* tells that it surely has not changed
    since while *ctime* and *inode* are the same.
    """

    path: bytes
    kind: int
    mode: int = 0  # permission bits, set-ID and sticky included
    uid: int = 0
    gid: int = 0
    mtime: int = 0  # nanoseconds since 1970
    size: int = 0
    target: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = {}
    extents: list[tuple[int, int]] | None = None
    runs: list[Run] = []
    ctime: int = 0
    inode: int = 0
    settled: bool = False

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The path's components; UnsafeName."""
        return components(self.path)

    @property
    def stored(self) -> int:
        """Bytes that its chunks hold."""
        return self.size if self.extents is None else sum(length for _, length in self.extents)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a tree begins with: *packs* are digests, named by their numbers in the runs."""

    version: int = VERSION
    packs: list[str] = []


class Tree(msgspec.Struct, frozen=True):
    """A tree in memory, its entries by path, parents first."""

    packs: list[Digest]
    entries: list[Entry]


def encode(packs: Sequence[Digest], entries: Iterable[Entry]) -> bytes:
    """The tree's bytes."""
    encoder = msgspec.msgpack.Encoder()
    out = io.BytesIO()
    out.write(MAGIC)
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with compressor.stream_writer(out, closefd=False) as writer:
        writer.write(_block(encoder.encode(Head(packs=[str(pack) for pack in packs]))))
        for rows in _grouped(entries):
            writer.write(_block(encoder.encode(rows)))
    return out.getvalue()


def decode(content: bytes) -> Tree:
    """InvalidTree, UnsafeName, Unsupported for a newer version."""
    if not content.startswith(MAGIC):
        raise InvalidTree("it is none")
    try:
        return _decoded(content[len(MAGIC) :])
    except (msgspec.MsgspecError, zstandard.ZstdError, RecursionError) as error:
        raise InvalidTree(str(error)) from None


def _decoded(content: bytes) -> Tree:
    expander = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    stream = cast(BinaryIO, expander.stream_reader(io.BytesIO(content)))
    blocks = _blocks(stream)
    head = msgspec.msgpack.decode(next(blocks, b"\xc0"), type=Head)
    if head.version > VERSION:
        raise Unsupported(f"the tree has version {head.version}, newer than this lading's")
    decoder = msgspec.msgpack.Decoder(list[Entry])
    packs = [Digest.parse(pack) for pack in head.packs]
    entries = [entry for block in blocks for entry in decoder.decode(block)]
    _check(entries, len(packs))
    return Tree(packs, entries)


def _check(entries: Iterable[Entry], packs: int) -> None:
    """Refuse what no writer writes; names are checked here, and whatever is done with them."""
    for entry in entries:
        if entry.kind not in Kind.__members__.values() or not 0 <= entry.mode <= 0o7777:
            raise InvalidTree(f"entry {entry.path[:200]!r}")
        if b"/".join(entry.parts) != entry.path or b"\0" in entry.path:
            raise UnsafeName(entry.path, "not a plain relative name")
        if entry.kind == Kind.HARDLINK and b"/".join(components(entry.target)) != entry.target:
            raise UnsafeName(entry.target, "not a plain relative name")
        if not _is_sound(entry, packs):
            raise InvalidTree(f"the content of {entry.path[:200]!r}")


def _is_sound(entry: Entry, packs: int) -> bool:
    at = 0
    for offset, length in entry.extents or ():
        if offset < at or length < 0:
            return False
        at = offset + length
    runs = all(0 <= pack < packs and first >= 0 and n > 0 for pack, first, n in entry.runs)
    return runs and 0 <= entry.size < 2**63 and at <= entry.size


def _grouped(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rows: list[Entry] = []
    for entry in entries:
        rows.append(entry)
        if len(rows) == _BLOCK:
            yield rows
            rows = []
    if rows:
        yield rows


def _block(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while head := stream.read(_LENGTH.size):
        if len(head) < _LENGTH.size:
            raise InvalidTree("it is cut off")
        (length,) = _LENGTH.unpack(head)
        if length > _MOST_BLOCK:
            raise InvalidTree(f"a block of {length} bytes")
        block = stream.read(length)
        if len(block) < length:
            raise InvalidTree("it is cut off")
        yield block
