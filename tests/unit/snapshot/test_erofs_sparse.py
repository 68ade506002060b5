"""Every byte of a sparse file is found again through its chunks."""

from __future__ import annotations

import io
import stat

from hypothesis import given
from hypothesis import strategies as st

from lading.snapshot.erofs_format import BLOCK, HOLE
from lading.snapshot.erofs_sparse import chunk_map
from lading.snapshot.erofs_tree import Node


@st.composite
def sparse_files(draw: st.DrawFn) -> tuple[Node, bytes, bytes]:
    """A node, the tar that holds its pieces, and what a reader must see."""
    unit = draw(st.sampled_from([1, 100, BLOCK, 4096]))
    lengths = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=6))
    content, tar, segments = bytearray(), bytearray(bytes(BLOCK)), []
    for hole, length in lengths:
        content += bytes(hole * unit)
        piece = bytes(1 + n % 255 for n in range(length * unit))
        segments.append((len(content), len(piece)))
        content += piece
        tar += piece
    content += bytes(draw(st.integers(0, 9)) * unit)
    node = Node(stat.S_IFREG, size=len(content), offset=BLOCK, segments=tuple(segments))
    return node, bytes(tar), bytes(content)


@given(sparse_files())
def test_reading_through_the_chunks_gives_the_file(case: tuple[Node, bytes, bytes]) -> None:
    node, tar, expected = case
    chunks = chunk_map(node)
    chunks.place_copies(1)
    image = io.BytesIO()
    chunks.write_copies(node, image, io.BytesIO(tar))
    seen = bytearray()
    for device, start in chunks.starts:
        source = tar if device else image.getvalue()
        hole = start == HOLE
        piece = b"" if hole else source[start * BLOCK : start * BLOCK + (1 << chunks.bits)]
        seen += piece.ljust(1 << chunks.bits, b"\0")
    assert bytes(seen[: node.size]) == expected


def test_an_aligned_file_is_not_copied() -> None:
    node = Node(stat.S_IFREG, size=1 << 30, offset=BLOCK, segments=((1 << 29, 1 << 20),))
    assert chunk_map(node).copies == []


def test_the_number_of_chunks_is_bounded() -> None:
    node = Node(stat.S_IFREG, size=1 << 43, offset=BLOCK, segments=((512, 512),))
    chunks = chunk_map(node)
    assert len(chunks.starts) <= 1 << 18
    assert chunks.copies == [0]
