"""Write a tree of nodes as an EROFS image whose file data lies in another file, the tar.

Two passes: the first gives every inode its place, the second writes.  The image holds
only metadata (and, for sparse files whose pieces fit no block, copies of their data).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import BinaryIO

from lading.snapshot import erofs_format as on_disk
from lading.snapshot.erofs_format import BLOCK, DIRENT, INODE, INODE_BYTES
from lading.snapshot.erofs_sparse import ChunkMap, chunk_map
from lading.snapshot.erofs_tree import Node

# A tail of this size finds a place behind its inode whatever the inode's offset is.
_TAIL_MOST = BLOCK - on_disk.SLOT


@dataclass(slots=True)
class _Place:
    """Where one inode goes, and what belongs to it."""

    node: Node
    at: int  # byte offset in the image
    number: int  # i_ino
    xattrs: bytes
    layout: int = on_disk.FLAT_PLAIN
    blocks: list[list[tuple[bytes, Node]]] = field(default_factory=list)  # of a directory
    size: int = 0
    tail: int = 0
    data_block: int = 0
    chunks: ChunkMap | None = None


def write(root: Node, out: BinaryIO, tar: BinaryIO, *, tar_bytes: int, name: bytes) -> None:
    """Write the image of *root* to *out* (seekable, empty); *tar* is read for odd sparse files.

    *tar_bytes* is the size of the file that will be mounted as the image's extra device;
    *name* (at least 16 bytes) makes the UUID.
    """
    places, end = _places(root)
    blocks = _give_blocks(places, -(-end // BLOCK))
    image = bytearray(-(-end // BLOCK) * BLOCK)
    by_node = {id(place.node): place for place in places}
    for place in places:
        _put(image, place, by_node, tar_at=blocks)
    image[on_disk.SUPERBLOCK_AT : on_disk.DEVICE_AT] = on_disk.superblock(
        root=places[0].at, inodes=len(places), blocks=blocks, name=name[:16]
    )
    device = on_disk.device(tag=b"", blocks=-(-tar_bytes // BLOCK), mapped_at=blocks)
    image[on_disk.DEVICE_AT : on_disk.DEVICE_AT + len(device)] = device
    out.write(image)
    _write_blocks(places, by_node, out, tar)
    out.truncate(blocks * BLOCK)


def _places(root: Node) -> tuple[list[_Place], int]:
    """Give every node its offset, the root first; the offset after the last one."""
    places: list[_Place] = []
    seen: set[int] = set()
    waiting = [root]
    at = on_disk.FIRST_INODE_AT
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        place = _place(node, at, len(places) + 1)
        places.append(place)
        at = _after(place)
        if node.children is not None:
            waiting.extend(node.children.values())
    return places, at


def _place(node: Node, at: int, number: int) -> _Place:
    place = _Place(node, at, number, on_disk.xattr_body(node.xattrs) if node.xattrs else b"")
    kind = stat.S_IFMT(node.mode)
    if kind == stat.S_IFDIR:
        _measure_directory(place)
    elif kind == stat.S_IFLNK:
        _measure_inline(place, len(node.target))
    elif kind == stat.S_IFREG:
        place.size = node.size
        if node.segments is not None:
            place.layout, place.chunks = on_disk.CHUNK_BASED, chunk_map(node)
    _fit(place)
    return place


def _measure_directory(place: _Place) -> None:
    children = place.node.children or {}
    place.node.links = 2 + sum(child.children is not None for child in children.values())
    own = {b".": place.node, b"..": place.node.parent}
    names = sorted((children | own).items(), key=itemgetter(0))
    used = BLOCK + 1
    block: list[tuple[bytes, Node]] = []
    for name, node in names:
        cost = DIRENT.size + len(name)
        if used + cost > BLOCK:
            used, block = 0, []
            place.blocks.append(block)
        used += cost
        block.append((name, node))
    _measure_inline(place, (len(place.blocks) - 1) * BLOCK + used)


def _measure_inline(place: _Place, size: int) -> None:
    """The last part of *size* bytes goes behind the inode when it fits there."""
    place.size = size
    tail = size % BLOCK
    if 0 < tail <= _TAIL_MOST:
        place.layout, place.tail = on_disk.FLAT_INLINE, tail


def _fit(place: _Place) -> None:
    """Move the inode so that its tail crosses no block: the kernel refuses one that does."""
    offset = (place.at + INODE_BYTES + len(place.xattrs)) % BLOCK
    if place.tail and offset + place.tail > BLOCK:
        place.at += -(-(BLOCK - offset) // on_disk.SLOT) * on_disk.SLOT


def _after(place: _Place) -> int:
    end = place.at + INODE_BYTES + len(place.xattrs) + place.tail
    if place.chunks is not None:
        end = -(-end // 8) * 8 + len(place.chunks.starts) * on_disk.CHUNK.size
    return -(-end // on_disk.SLOT) * on_disk.SLOT


def _give_blocks(places: list[_Place], block: int) -> int:
    """Hand out whole blocks behind the inodes; how many blocks the image has in the end."""
    for place in places:
        place.data_block = block
        if place.chunks is not None:
            block = place.chunks.place_copies(block)
        elif not stat.S_ISREG(place.node.mode):
            block += -(-(place.size - place.tail) // BLOCK)
    return block


def _put(image: bytearray, place: _Place, by_node: dict[int, _Place], *, tar_at: int) -> None:
    node, kind = place.node, stat.S_IFMT(place.node.mode)
    detail = place.data_block
    if place.chunks is not None:
        detail = place.chunks.format
    elif kind == stat.S_IFREG:
        detail = tar_at + node.offset // BLOCK if node.size else 0
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        detail = node.device
    INODE.pack_into(
        image,
        place.at,
        on_disk.inode_format(place.layout),
        on_disk.xattr_count(len(place.xattrs)),
        node.mode,
        0,
        place.size,
        detail,
        place.number,
        node.uid,
        node.gid,
        node.mtime,
        node.nanoseconds,
        node.links,
    )
    behind = place.at + INODE_BYTES
    image[behind : behind + len(place.xattrs)] = place.xattrs
    _put_tail(image, place, by_node, behind + len(place.xattrs))


def _put_tail(image: bytearray, place: _Place, by_node: dict[int, _Place], at: int) -> None:
    if place.chunks is not None:
        at = -(-at // 8) * 8
        for device, start in place.chunks.starts:
            on_disk.CHUNK.pack_into(image, at, 0, device, start)
            at += on_disk.CHUNK.size
    elif place.tail:
        content = place.node.target
        if place.blocks:
            content = _directory_block(place.blocks[-1], by_node)
        image[at : at + place.tail] = content[-place.tail :]


def _directory_block(entries: list[tuple[bytes, Node]], by_node: dict[int, _Place]) -> bytes:
    """One block of a directory: the entries' heads, then their names (erofs.rst, "Directories")."""
    name_at = len(entries) * DIRENT.size
    heads, names = [], []
    for name, node in entries:
        nid = by_node[id(node)].at // on_disk.SLOT
        heads.append(DIRENT.pack(nid, name_at, on_disk.FILE_TYPES[stat.S_IFMT(node.mode)]))
        names.append(name)
        name_at += len(name)
    return b"".join(heads + names)


def _write_blocks(
    places: list[_Place], by_node: dict[int, _Place], out: BinaryIO, tar: BinaryIO
) -> None:
    for place in places:
        if place.chunks is not None:
            place.chunks.write_copies(place.node, out, tar)
            continue
        for n, content in enumerate(_whole_blocks(place, by_node)):
            out.seek((place.data_block + n) * BLOCK)
            out.write(content)


def _whole_blocks(place: _Place, by_node: dict[int, _Place]) -> Iterator[bytes]:
    blocks = place.blocks[:-1] if place.tail else place.blocks
    for entries in blocks:
        yield _directory_block(entries, by_node)
    if stat.S_ISLNK(place.node.mode) and place.size > place.tail:
        yield place.node.target[: place.size - place.tail]
