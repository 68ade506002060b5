"""Write a tree of nodes as an EROFS image whose file data lies in another file, the tar.

The image holds only metadata (and, for sparse files whose pieces fit no block, copies of
their data).
"""

from __future__ import annotations

import stat
from typing import BinaryIO

from lading.snapshot import erofs_format as on_disk
from lading.snapshot import erofs_xattrs
from lading.snapshot.erofs_format import BLOCK, DIRENT_BYTES, INODE, INODE_BYTES, SLOT
from lading.snapshot.erofs_layout import Layout, Row, directory_blocks, lay_out
from lading.snapshot.erofs_tree import Node


def write(root: Node, out: BinaryIO, tar: BinaryIO, *, tar_bytes: int, name: bytes) -> None:
    """Write the image of *root* to *out* (seekable, empty); *tar* is read for odd sparse files.

    *tar_bytes* is the size of the file that will be mounted as the image's extra device;
    *name* (at least 16 bytes) makes the UUID.  A tree is written once.  InvalidTar, TooLarge.
    """
    tar_blocks = -(-tar_bytes // BLOCK)
    layout = lay_out(root, tar_blocks)
    image = bytearray(layout.metadata_blocks * BLOCK)
    _put_head(image, layout, tar_blocks, name)
    for node in layout.nodes:
        _put_node(image, node, layout)
    out.write(image)
    for node in layout.nodes:
        if node.segments is not None:
            layout.chunks[node.number].write_copies(node, out, tar)
    out.truncate(layout.blocks * BLOCK)


def _put_head(image: bytearray, layout: Layout, tar_blocks: int, name: bytes) -> None:
    superblock = on_disk.superblock(
        root=layout.nodes[0].at,
        inodes=len(layout.nodes),
        blocks=layout.blocks,
        xattrs=layout.shared_block,
        name=name[:16],
    )
    _put(image, on_disk.SUPERBLOCK_AT, superblock)
    device = on_disk.device(tag=b"", blocks=tar_blocks, mapped_at=layout.blocks)
    _put(image, on_disk.DEVICE_AT, device)
    _put(image, layout.shared_block * BLOCK, layout.xattrs.shared)


def _put(image: bytearray, at: int, content: bytes) -> None:
    image[at : at + len(content)] = content


def _put_node(image: bytearray, node: Node, layout: Layout) -> None:
    kind = node.mode & 0o170000
    data_layout, place = on_disk.FLAT_PLAIN, node.block
    if node.segments is not None:
        data_layout, place = on_disk.CHUNK_BASED, layout.chunks[node.number].format
    elif node.tail:
        data_layout = on_disk.FLAT_INLINE
    elif kind == stat.S_IFREG:
        place = layout.blocks + node.offset // BLOCK if node.size else 0
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        place = node.device
    _put_inode(image, node, data_layout, place)
    behind = node.at + INODE_BYTES + len(node.body)
    if kind == stat.S_IFDIR:
        _put_directory(image, node, behind)
    elif kind == stat.S_IFLNK:
        _put_link(image, node, behind)
    elif node.segments is not None:
        starts = layout.chunks[node.number].starts
        at = -(-behind // 8) * 8
        _put(image, at, b"".join(on_disk.CHUNK.pack(0, *start) for start in starts))


def _put_inode(image: bytearray, node: Node, data_layout: int, place: int) -> None:
    INODE.pack_into(
        image,
        node.at,
        on_disk.inode_format(data_layout),
        erofs_xattrs.count(node.body),
        node.mode,
        0,
        node.size,
        place,
        node.number,
        node.uid,
        node.gid,
        node.mtime,
        node.nanoseconds,
        node.links,
    )
    if node.body:
        _put(image, node.at + INODE_BYTES, node.body)


def _put_directory(image: bytearray, node: Node, behind: int) -> None:
    at, whole = node.block * BLOCK, node.size - node.tail
    for number, rows in enumerate(directory_blocks(node)):
        place = behind if number * BLOCK == whole else at + number * BLOCK
        _put(image, place, _directory_block(rows))


def _put_link(image: bytearray, node: Node, behind: int) -> None:
    whole = node.size - node.tail
    _put(image, node.block * BLOCK, node.target[:whole])
    _put(image, behind, node.target[whole:])


def _directory_block(rows: list[Row]) -> bytes:
    """One block of a directory: the entries' heads, then their names (erofs.rst, "Directories")."""
    name_at = len(rows) * DIRENT_BYTES
    heads: list[int] = []
    for name, node in rows:
        heads += (node.at // SLOT, name_at, on_disk.FILE_TYPES[node.mode & 0o170000])
        name_at += len(name)
    names = b"".join([name for name, _ in rows])
    return on_disk.dirents(len(rows)).pack(*heads) + names
