"""A tree as a tar that every tool reads: a volume's files, or a layer with its whiteouts."""

from __future__ import annotations

from lading.backup.contents import Contents
from lading.backup.tree import Entry, Kind, Tree
from lading.layer import write
from lading.layer.entry import NO_XATTRS, Type
from lading.layer.entry import Entry as Member
from lading.layer.pack import Output
from lading.layer.whiteouts import PREFIX

_TYPES = {
    Kind.FILE: Type.FILE,
    Kind.DIRECTORY: Type.DIRECTORY,
    Kind.SYMLINK: Type.SYMLINK,
    Kind.CHARACTER: Type.CHARACTER,
    Kind.BLOCK: Type.BLOCK,
    Kind.FIFO: Type.FIFO,
    Kind.HARDLINK: Type.HARDLINK,
}
_SECOND = 1_000_000_000


def tar(tree: Tree, contents: Contents, out: Output) -> None:
    """Write all of *tree*; its deletions as whiteouts (image-spec layer.md)."""
    for entry in tree.entries:
        member = _member(entry)
        out.write(write.header(member))
        if entry.kind == Kind.FILE:
            for piece in contents.pieces(tree, entry):
                out.write(piece)
            if entry.stored % write.BLOCK:
                out.write(write.padding(entry.stored))
    out.write(write.END)


def _member(entry: Entry) -> Member:
    if entry.kind == Kind.DELETED:
        above, slash, name = entry.path.rpartition(b"/")
        marker = above + slash + PREFIX + name
        return Member(marker, Type.FILE, 0, 0, 0, 0, 0, 0, b"", 0, 0, NO_XATTRS, 0, 0)
    name = entry.path or b"."
    return Member(
        name + b"/" if entry.kind == Kind.DIRECTORY else name,
        _TYPES[Kind(entry.kind)],
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime // _SECOND,
        entry.mtime % _SECOND,
        entry.size,
        entry.target,
        entry.major,
        entry.minor,
        entry.xattrs,
        0,
        0,
        _segments(entry),
    )


def _segments(entry: Entry) -> tuple[tuple[int, int], ...] | None:
    if entry.extents is None:
        return None
    pieces = list(entry.extents)
    if not pieces or sum(pieces[-1]) < entry.size:
        pieces.append((entry.size, 0))  # how GNU tar is told of a hole at the end
    return tuple(pieces)
