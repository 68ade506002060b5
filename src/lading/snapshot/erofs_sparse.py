"""A sparse file as EROFS chunks: each one a hole, a place in the tar, or a copy.

A tar keeps the pieces of a sparse file one after the other; a chunk can point at them
where it lies whole within one piece and begins at a block.  What fits badly is copied
into the image.  Files of any size get at most `_MOST_CHUNKS` chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from lading.snapshot import erofs_format as on_disk
from lading.snapshot.erofs_format import BLOCK, BLOCK_BITS

if TYPE_CHECKING:
    from lading.snapshot.erofs_tree import Node

_MOST_CHUNKS = 1 << 18
_LARGEST_BITS = BLOCK_BITS + 31
_TAR = 1  # the number of the extra device
_NOWHERE = (0, on_disk.HOLE)


@dataclass(slots=True)
class ChunkMap:
    """Where each chunk of a file lies: (device, block) pairs."""

    bits: int
    starts: list[tuple[int, int]]
    copies: list[int] = field(default_factory=list)  # chunks to be copied into the image

    @property
    def format(self) -> int:
        """The chunk information of the inode (``i_u``)."""
        return on_disk.CHUNK_WITH_INDEXES | (self.bits - BLOCK_BITS)

    def place_copies(self, block: int) -> int:
        """Give the copied chunks blocks from *block* on; the first block after them."""
        for chunk in self.copies:
            self.starts[chunk] = (0, block)
            block += 1 << (self.bits - BLOCK_BITS)
        return block

    def write_copies(self, node: Node, out: BinaryIO, tar: BinaryIO) -> None:
        """Copy the data of the chunks that could not point into the tar."""
        wanted = set(self.copies)
        for piece in pieces(node) if wanted else ():
            for chunk in piece.chunks(self.bits):
                if chunk in wanted:
                    self._copy(piece, chunk, out, tar)

    def _copy(self, piece: Piece, chunk: int, out: BinaryIO, tar: BinaryIO) -> None:
        begin = max(piece.at, chunk << self.bits)
        end = min(piece.at + piece.length, (chunk + 1) << self.bits)
        tar.seek(piece.tar_at + begin - piece.at)
        out.seek(self.starts[chunk][1] * BLOCK + begin - (chunk << self.bits))
        left = end - begin
        while left:
            content = tar.read(min(left, 1 << 20))
            if not content:
                return  # the tar was checked before: it cannot be shorter
            out.write(content)
            left -= len(content)


@dataclass(frozen=True, slots=True)
class Piece:
    """*length* bytes of a file at *at*, which the tar holds at *tar_at*."""

    at: int
    length: int
    tar_at: int

    def chunks(self, bits: int) -> range:
        """The numbers of the chunks that this piece touches."""
        return range(self.at >> bits, -(-(self.at + self.length) >> bits))


def pieces(node: Node) -> Iterator[Piece]:
    """The parts of a sparse file that have data."""
    tar_at = node.offset
    for at, length in node.segments or ():
        if length:
            yield Piece(at, length, tar_at)
        tar_at += length


def chunk_map(node: Node) -> ChunkMap:
    """Decide what becomes of each chunk of the sparse file *node*."""
    bits = _bits(node)
    found = ChunkMap(bits, [_NOWHERE] * -(-node.size >> bits))
    copies: set[int] = set()
    for piece in pieces(node):
        for chunk in piece.chunks(bits):
            start = _in_tar(piece, chunk, bits, node.size)
            if start is None:
                copies.add(chunk)
            else:
                found.starts[chunk] = (_TAR, start)
    found.copies = sorted(copies)
    return found


def _in_tar(piece: Piece, chunk: int, bits: int, size: int) -> int | None:
    """The tar's block that holds the whole chunk, if there is one."""
    begin = chunk << bits
    end = min(begin + (1 << bits), size)
    tar_at = piece.tar_at + begin - piece.at
    whole = piece.at <= begin and end <= piece.at + piece.length
    return tar_at // BLOCK if whole and tar_at % BLOCK == 0 else None


def _bits(node: Node) -> int:
    """The largest chunk that fits the pieces' borders, or a larger one to bound their number."""
    borders = BLOCK << 12  # more than 2 MiB at a time brings nothing
    for piece in pieces(node):
        borders |= piece.at
        if piece.at + piece.length < node.size:
            borders |= piece.length
    bits = max(BLOCK_BITS, (borders & -borders).bit_length() - 1)
    while node.size >> bits > _MOST_CHUNKS and bits < _LARGEST_BITS:
        bits += 1
    return bits
