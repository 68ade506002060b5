"""Give every node of a tree its place in an EROFS image.

The inodes of one directory's children lie together, in the order of their names, small
directories and links inline: what is read together is near.  Behind the inodes come shared
attributes, whole blocks of larger directories, and what sparse files need copied.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from lading.errors import Unsupported
from lading.snapshot import erofs_format as on_disk
from lading.snapshot.erofs_format import BLOCK, DIRENT_BYTES, INODE_BYTES, SLOT
from lading.snapshot.erofs_sparse import ChunkMap, chunk_map
from lading.snapshot.erofs_tree import Node
from lading.snapshot.erofs_xattrs import Xattrs

# A tail of this size finds a place behind its inode whatever the inode's offset is.
_TAIL_MOST = BLOCK - SLOT

Row = tuple[bytes, Node]


class TooLarge(Unsupported):
    """Raised for a layer that 32-bit block numbers cannot reach the end of."""

    def __init__(self) -> None:
        super().__init__("a layer of 2 TiB or more")


@dataclass(slots=True)
class Layout:
    """An image before it is written: its inodes in order, and where their parts begin."""

    nodes: list[Node]
    xattrs: Xattrs
    inodes_end: int = 0  # in bytes
    shared_block: int = 0  # where shared attributes begin
    metadata_blocks: int = 0  # without what is copied for sparse files
    blocks: int = 0
    chunks: dict[int, ChunkMap] = field(default_factory=dict)  # by the inode's number


def lay_out(root: Node, tar_blocks: int) -> Layout:
    """Place all nodes, setting their ``at``, ``body``, ``tail`` and ``block``; TooLarge."""
    nodes = _in_order(root)
    layout = Layout(nodes, Xattrs(node.xattrs for node in nodes if node.xattrs))
    _place_inodes(layout)
    _place_blocks(layout)
    if layout.blocks + tar_blocks > on_disk.MOST_BLOCKS:
        raise TooLarge
    return layout


def directory_blocks(directory: Node) -> Iterator[list[Row]]:
    """The entries of a directory, ``.`` and ``..`` among them, as its blocks hold them."""
    children = directory.children or {}
    rows = sorted([(b".", directory), (b"..", directory.parent), *children.items()], key=_name)
    used, block = 0, list[Row]()
    for row in rows:
        cost = DIRENT_BYTES + len(row[0])
        if used + cost > BLOCK:
            yield block
            used, block = 0, []
        used += cost
        block.append(row)
    yield block


def _name(row: Row) -> bytes:
    return row[0]


def _in_order(root: Node) -> list[Node]:
    """Every inode once, its links counted and its number given."""
    nodes, waiting = [root], [root]
    root.number, root.links = 1, 2
    while waiting:
        directory = waiting.pop()
        inner = []
        for _, node in sorted((directory.children or {}).items(), key=_name):
            if node.number:
                node.links += 1
                continue
            nodes.append(node)
            node.number, node.links = len(nodes), 1
            if node.children is not None:
                node.links = 2
                directory.links += 1
                inner.append(node)
        waiting.extend(reversed(inner))
    return nodes


def _place_inodes(layout: Layout) -> None:
    at = on_disk.FIRST_BLOCK * BLOCK  # the root's: its number must fit 16 bits
    for node in layout.nodes:
        if node.xattrs:
            node.body = layout.xattrs.body(node.xattrs)
        _measure(node)
        head = INODE_BYTES + len(node.body)
        offset = (at + head) % BLOCK
        if node.tail and offset + node.tail > BLOCK:  # the kernel refuses a tail that crosses
            at += -(-(BLOCK - offset) // SLOT) * SLOT
        node.at = at
        at += head + node.tail
        if node.segments is not None:
            chunks = layout.chunks[node.number] = chunk_map(node)
            at = -(-at // 8) * 8 + len(chunks.starts) * on_disk.CHUNK.size
        at = -(-at // SLOT) * SLOT
    layout.inodes_end = at


def _measure(node: Node) -> None:
    """Set the size of a directory or link, and how much of it goes behind the inode."""
    kind = stat.S_IFMT(node.mode)
    if kind == stat.S_IFDIR:
        node.size = _directory_size(node)
    elif kind == stat.S_IFLNK:
        node.size = len(node.target)
    else:
        return
    tail = node.size % BLOCK
    node.tail = tail if tail <= _TAIL_MOST else 0


def _directory_size(directory: Node) -> int:
    blocks = list(directory_blocks(directory))
    return (len(blocks) - 1) * BLOCK + sum(DIRENT_BYTES + len(name) for name, _ in blocks[-1])


def _place_blocks(layout: Layout) -> None:
    layout.shared_block = -(-layout.inodes_end // BLOCK)
    block = layout.shared_block + -(-len(layout.xattrs.shared) // BLOCK)
    for node in layout.nodes:
        if not stat.S_ISREG(node.mode) and node.size > node.tail:
            node.block = block
            block += -(-(node.size - node.tail) // BLOCK)
    layout.metadata_blocks = block
    for chunks in layout.chunks.values():
        block = chunks.place_copies(block)
    layout.blocks = block
