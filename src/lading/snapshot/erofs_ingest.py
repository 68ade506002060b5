"""One pass over a layer's tar: keep it, hash it, and learn what is in it.

Hashing and writing run in threads of their own beside the reader, in C code that lets
go of the interpreter; queues are short, so memory stays small.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import threading
from collections.abc import Callable
from typing import BinaryIO

from lading.layer.entry import Entry, InvalidTar, Type, components
from lading.layer.read import Scanner
from lading.layer.unpack import kept_xattrs
from lading.linux.files import write_back
from lading.oci.digest import Digest
from lading.snapshot.erofs_format import device_number
from lading.snapshot.erofs_tree import Node, Tree
from lading.snapshot.hashing import verified
from lading.snapshot.stacking import BARE_XATTR

_PIECE = 512 * 1024  # smaller ones cost more in taking turns than they save in cache
_WAITING = 6  # pieces in each queue
_WRITE_BACK = 8 * 1024 * 1024
_FORMATS = {kind: kind.value for kind in Type}
_MOST_MAJOR, _MOST_MINOR = 0xFFF, 0xFFFFF


def ingest(tar: BinaryIO, kept: io.FileIO, expected: Digest | None) -> tuple[Tree, Digest]:
    """Copy *tar* into *kept*; its tree of files and its digest.

    InvalidTar or WrongLayer when it is unsound or not *expected*; OSError from writing.
    """
    tree = Tree()
    scanner = Scanner(lambda entry: _add(tree, entry))
    sha256 = hashlib.sha256()
    with _Worker(sha256.update) as hasher, _Worker(_Writer(kept).write) as writer:
        while piece := tar.read(_PIECE):
            hasher.put(piece)
            writer.put(piece)
            scanner.feed(piece)
    scanner.close()
    if not tree.describes_root:
        tree.root.xattrs = {**(tree.root.xattrs or {}), os.fsencode(BARE_XATTR): b"y"}
    return tree, verified(Digest("sha256:" + sha256.hexdigest()), expected)


class _Writer:
    """Writes pieces, and has the kernel begin with them early: the fsync is short then."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._size = self._begun = 0

    def write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self._size += len(piece)
        if self._size - self._begun >= _WRITE_BACK:
            write_back(self._file.fileno(), self._begun, self._size - self._begun)
            self._begun = self._size


class _Worker:
    """A thread that takes pieces in order; its failure is raised in the one that gives them."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ingest")

    def __enter__(self) -> _Worker:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        self._pieces.put(b"")
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def put(self, piece: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._pieces.put(piece)

    def _run(self) -> None:
        while piece := self._pieces.get():
            if self._failure is None:
                try:
                    self._take(piece)
                except BaseException as error:
                    self._failure = error  # and go on emptying the queue


def _add(tree: Tree, entry: Entry) -> None:
    kind = entry.type
    if kind is Type.HARDLINK:
        tree.link(entry.parts, components(entry.target))
        return
    if kind is Type.CHARACTER and (entry.major, entry.minor) == (0, 0):
        # Overlayfs takes such a device for a whiteout, and a layer must not smuggle one in.
        raise InvalidTar(f"a character device 0/0: {entry.name[:200]!r}")
    if entry.major > _MOST_MAJOR or entry.minor > _MOST_MINOR:
        raise InvalidTar(f"a device number that Linux does not have: {entry.name[:200]!r}")
    tree.put(entry.parts, _node(entry))


def _node(entry: Entry) -> Node:
    kind = entry.type
    node = Node(
        _FORMATS[kind] | entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        entry.nanoseconds,
        entry.size,
        entry.offset,
    )
    if entry.xattrs:
        node.xattrs = dict(kept_xattrs(entry)) or None
    if kind is Type.FILE:
        node.segments = entry.segments
    elif kind is Type.DIRECTORY:
        node.children = {}
    elif kind is Type.SYMLINK:
        node.mode, node.target = _FORMATS[kind] | 0o777, entry.target
    else:
        node.device = device_number(entry.major, entry.minor)
    return node
