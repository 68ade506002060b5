"""A reader of the images that lading writes, made from docs/erofs-layers.md alone."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK, SLOT = 512, 32
HOLE = 0xFFFFFFFF
PREFIXES = {
    1: b"user.",
    2: b"system.posix_acl_access",
    3: b"system.posix_acl_default",
    4: b"trusted.",
    6: b"security.",
}


@dataclass
class Inode:
    nid: int
    layout: int
    mode: int
    size: int
    place: int
    number: int
    uid: int
    gid: int
    mtime: int
    nanoseconds: int
    links: int
    xattrs: dict[bytes, bytes]
    behind: int  # where inline data or the chunks begin


class Image:
    """An index, and the tar that holds its data."""

    def __init__(self, image: bytes, tar: bytes) -> None:
        self._image, self._tar = image, tar
        magic, self.block_bits, root, self.inodes, self.blocks, self._shared_at = (
            struct.unpack_from("<I8xBxHQ12xI4xI", image, 1024)
        )
        assert magic == 0xE0F5E1E2
        assert self.block_bits == 9
        slot = struct.unpack_from("<H", image, 1024 + 88)[0] * 128
        self.tar_blocks, self._mapped_at = struct.unpack_from("<64xII", image, slot)
        self.root = self.inode(root)

    def inode(self, nid: int) -> Inode:
        at = nid * SLOT
        fields = struct.unpack_from("<HHH2xQIIIIqII", self._image, at)
        form, count, mode, size, place, number, uid, gid, mtime, nanoseconds, links = fields
        assert form & 1, "extended inodes only"
        length = 12 + 4 * (count - 1) if count else 0
        xattrs = dict(self._xattrs(at + 64, length)) if count else {}
        return Inode(
            nid, form >> 1, mode, size, place, number, uid, gid, mtime, nanoseconds, links,
            xattrs, at + 64 + length,
        )  # fmt: skip

    def children(self, inode: Inode) -> Iterator[tuple[bytes, int, int]]:
        """Name, nid and file type of each entry, in order."""
        content = self.content(inode)
        for at in range(0, len(content), BLOCK):
            yield from self._entries(content[at : at + BLOCK])

    def content(self, inode: Inode) -> bytes:
        if inode.layout == 4:
            return self._chunks(inode)
        if inode.layout == 2:
            whole = inode.size // BLOCK * BLOCK
            tail = inode.size - whole
            start = inode.behind % BLOCK
            assert start + tail <= BLOCK, "the tail crosses a block"
            return self._blocks(inode.place, whole) + self._image[inode.behind :][:tail]
        return self._blocks(inode.place, inode.size)

    def _blocks(self, block: int, size: int) -> bytes:
        if block >= self._mapped_at:
            source, block = self._tar, block - self._mapped_at
        else:
            source = self._image
        return source[block * BLOCK : block * BLOCK + size]

    def _chunks(self, inode: Inode) -> bytes:
        assert inode.place & 0x20, "chunks have indexes"
        length = BLOCK << (inode.place & 0x1F)
        at = -(-inode.behind // 8) * 8
        found = b""
        for _ in range(-(-inode.size // length)):
            device, block = struct.unpack_from("<2xHI", self._image, at)
            at += 8
            source = self._tar if device else self._image
            start = block * BLOCK
            piece = b"" if block == HOLE else source[start : start + length]
            found += piece.ljust(length, b"\0")
        return found[: inode.size]

    def _entries(self, block: bytes) -> Iterator[tuple[bytes, int, int]]:
        count = struct.unpack_from("<8xH", block)[0] // 12
        heads = [struct.unpack_from("<QHB", block, n * 12) for n in range(count)]
        ends = [head[1] for head in heads[1:]] + [len(block)]
        for (nid, start, kind), end in zip(heads, ends, strict=True):
            yield block[start:end].rstrip(b"\0"), nid, kind

    def _xattrs(self, at: int, length: int) -> Iterator[tuple[bytes, bytes]]:
        end = at + length
        shared = self._image[at + 4]
        at += 12
        for _ in range(shared):
            number = struct.unpack_from("<I", self._image, at)[0]
            yield self._xattr(self._shared_at * BLOCK + number * 4)[:2]
            at += 4
        while at < end:
            name, value, at = self._xattr(at)
            yield name, value

    def _xattr(self, at: int) -> tuple[bytes, bytes, int]:
        length, prefix, size = struct.unpack_from("<BBH", self._image, at)
        name = self._image[at + 4 : at + 4 + length]
        value = self._image[at + 4 + length : at + 4 + length + size]
        return PREFIXES[prefix] + name, value, at + -(-(4 + length + size) // 4) * 4


def seen(image: Image) -> dict[bytes, tuple[object, ...]]:
    """What a reader sees of the whole tree, by path."""
    found: dict[bytes, tuple[object, ...]] = {}
    waiting = [(b"", image.root, image.root.nid)]
    while waiting:
        path, inode, above = waiting.pop()
        found[path] = (inode.mode, inode.uid, inode.gid, inode.mtime, inode.nanoseconds,
                       inode.links, inode.xattrs, _content(image, inode))  # fmt: skip
        if not stat.S_ISDIR(inode.mode):
            continue
        rows = list(image.children(inode))
        names = [name for name, _, _ in rows]
        assert names == sorted(names), "entries are sorted by their names' bytes"
        assert {n: nid for n, nid, _ in rows if n in (b".", b"..")} == {
            b".": inode.nid,
            b"..": above,
        }
        for name, nid, kind in rows:
            child = image.inode(nid)
            assert kind == _KINDS[stat.S_IFMT(child.mode)]
            if name not in (b".", b".."):
                waiting.append((path + b"/" + name, child, inode.nid))
    return found


_KINDS = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFLNK: 7,
}


def _content(image: Image, inode: Inode) -> object:
    kind = stat.S_IFMT(inode.mode)
    if kind in (stat.S_IFREG, stat.S_IFLNK):
        return image.content(inode)
    return inode.place if kind in (stat.S_IFCHR, stat.S_IFBLK) else None
