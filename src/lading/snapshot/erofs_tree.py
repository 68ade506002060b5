"""The tree of files that a layer's tar describes, in overlayfs's own form.

Entries come in the tar's order; a later one replaces an earlier one of its name.  A
parent that is a symbolic link is resolved inside the layer, so that nothing leaves it.
Whiteouts become devices 0/0, opaque markers the overlay's extended attribute.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from lading.errors import Invalid

OPAQUE = b"trusted.overlay.opaque"
_WHITEOUT = b".wh."
_OPAQUE_MARKER = b".wh..wh..opq"
_MOST_LINKS = 40  # symbolic links followed for one name, as in the kernel


class UnusableEntry(Invalid):
    """Raised for an entry that has no place in a tree."""

    def __init__(self, parts: Sequence[bytes], why: str) -> None:
        name = b"/".join(parts).decode(errors="backslashreplace")
        super().__init__(f"layer entry {name[:200]!r}: {why}")


@dataclass(slots=True, eq=False)
class Node:
    """One inode.  *children* is None unless it is a directory."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0  # seconds
    nanoseconds: int = 0
    size: int = 0
    offset: int = 0  # of the data in the tar
    device: int = 0  # as Linux encodes it on disk
    target: bytes = b""  # of a symbolic link
    xattrs: dict[bytes, bytes] | None = None
    segments: tuple[tuple[int, int], ...] | None = None  # (offset, length) of a sparse file
    children: dict[bytes, Node] | None = None
    up: Node | None = field(default=None, repr=False)
    # Set when an image of the tree is laid out (`erofs_layout`):
    number: int = 0  # i_ino
    links: int = 0
    at: int = 0  # byte offset in the image
    body: bytes = b""  # extended attributes as they follow the inode
    tail: int = 0  # bytes of a directory or link that follow the inode
    block: int = 0  # where the rest of them lies

    @property
    def parent(self) -> Node:
        """The directory above; the root's is the root itself."""
        return self.up or self

    @property
    def is_whiteout(self) -> bool:
        return stat.S_ISCHR(self.mode) and self.device == 0

    @property
    def is_opaque(self) -> bool:
        return self.xattrs is not None and OPAQUE in self.xattrs


def directory(mode: int = 0o755) -> Node:
    """A directory that no entry has described yet."""
    return Node(stat.S_IFDIR | mode, children={})


class Tree:
    """A layer's files, growing entry by entry."""

    def __init__(self) -> None:
        self.root = directory()
        self.describes_root = False
        self._last: tuple[Sequence[bytes], Node] = ((), self.root)

    def put(self, parts: Sequence[bytes], node: Node) -> None:
        """Add *node* as *parts* (no ``.`` or ``..`` among them); UnusableEntry."""
        if not parts:
            self._describe_root(node)
            return
        parent, name = self._directory(parts[:-1]), parts[-1]
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, parts)
            return
        self._place(parent, name, node)

    def link(self, parts: Sequence[bytes], target: Sequence[bytes]) -> None:
        """Add another name for the file *target*, which came before; UnusableEntry."""
        if not parts or parts[-1].startswith(_WHITEOUT):
            raise UnusableEntry(parts, "a hard link cannot stand here")
        found = self._find(target)
        if found is None or found.children is not None or found.is_whiteout:
            raise UnusableEntry(parts, "hard link to a file that is not in the layer")
        if tuple(target) == tuple(parts):
            raise UnusableEntry(parts, "hard link to itself")
        parent = self._directory(parts[:-1])
        self._place(parent, parts[-1], found)

    def _describe_root(self, node: Node) -> None:
        if node.children is None:
            raise UnusableEntry((), "the root is not a directory")
        _describe(self.root, node)
        self.describes_root = True

    def _place(self, parent: Node, name: bytes, node: Node) -> None:
        children = _children(parent)
        old = children.get(name)
        if node.children is not None:
            node.up = parent
            if old is not None and old.children is not None:
                _describe(old, node)
                return
            if old is not None and old.is_whiteout:
                _make_opaque(node)  # what lies below is gone, and this directory is new
        if old is not None:
            self._last = ((), self.root)  # it may have been a directory on that path
        children[name] = node

    def _whiteout(self, parent: Node, parts: Sequence[bytes]) -> None:
        if parts[-1] == _OPAQUE_MARKER:
            _make_opaque(parent)
            return
        name = parts[-1][len(_WHITEOUT) :]
        if name in (b"", b".", b".."):
            raise UnusableEntry(parts, "a whiteout of nothing")
        if name.startswith(_WHITEOUT):
            return  # AUFS's own bookkeeping
        old = _children(parent).get(name)
        if parent.is_opaque:
            return  # nothing is left to hide, and overlayfs would list the device
        if old is None:
            _children(parent)[name] = Node(stat.S_IFCHR)
        elif old.children is not None:
            _make_opaque(old)

    def _directory(self, parts: Sequence[bytes]) -> Node:
        """The directory *parts*, made where it is missing."""
        if parts == self._last[0]:
            return self._last[1]
        node = self._walk(parts, make=True)
        if node is None or node.children is None:
            raise UnusableEntry(parts, "a parent is not a directory")
        self._last = (parts, node)
        return node

    def _find(self, parts: Sequence[bytes]) -> Node | None:
        """The node named *parts*; a link in the last place is not followed."""
        if not parts:
            return self.root
        parent = self._walk(parts[:-1], make=False)
        return None if parent is None else (parent.children or {}).get(parts[-1])

    def _walk(self, parts: Sequence[bytes], *, make: bool) -> Node | None:
        node, waiting, followed = self.root, list(reversed(parts)), 0
        while waiting:
            part = waiting.pop()
            if node.children is None:
                return None
            if part == b"..":
                node = node.parent
                continue
            child = _children(node).get(part)
            if child is not None and stat.S_ISLNK(child.mode):
                followed += 1
                if followed > _MOST_LINKS:
                    raise UnusableEntry(parts, "too many symbolic links")
                node = self.root if child.target.startswith(b"/") else node
                waiting.extend(p for p in reversed(child.target.split(b"/")) if p not in _IDLE)
                continue
            if child is None or child.is_whiteout:
                if not make:
                    return None
                child = directory()
                self._place(node, part, child)
            node = child
        return node


_IDLE = (b"", b".")


def _children(node: Node) -> dict[bytes, Node]:
    assert node.children is not None  # callers pass directories only
    return node.children


def _make_opaque(node: Node) -> None:
    if not node.is_opaque:
        node.xattrs = {**(node.xattrs or {}), OPAQUE: b"y"}
        whiteouts = [name for name, child in _children(node).items() if child.is_whiteout]
        for name in whiteouts:
            del _children(node)[name]


def _describe(node: Node, new: Node) -> None:
    """Give the directory *node* the attributes of *new*; its children and opaqueness stay."""
    opaque = node.is_opaque
    node.mode, node.uid, node.gid = new.mode, new.uid, new.gid
    node.mtime, node.nanoseconds, node.xattrs = new.mtime, new.nanoseconds, new.xattrs
    if opaque:
        _make_opaque(node)
