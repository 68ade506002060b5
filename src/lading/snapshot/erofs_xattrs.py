"""Extended attributes as EROFS keeps them: behind the inode, or once for all that have them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping

from lading.layer.entry import InvalidTar

_HEADER = struct.Struct("<IB7x")  # name filter (none), number of shared attributes
_ENTRY = struct.Struct("<BBH")
_ID = struct.Struct("<I")
_MOST_VALUE = 0xFFFF
_MOST_BODY = _HEADER.size + 4 * (0xFFFF - 1)
_MOST_SHARED = 0xFF  # of one inode

_PREFIXES = (
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"user.", 1),
    (b"trusted.", 4),
    (b"security.", 6),
)

Pair = tuple[bytes, bytes]


class Xattrs:
    """The attributes of all inodes of an image: `shared` is one area, `body` each inode's own."""

    def __init__(self, inodes: Iterable[Mapping[bytes, bytes]]) -> None:
        """*inodes* are the attributes of each inode that has any."""
        counts: Counter[Pair] = Counter()
        for xattrs in inodes:
            counts.update(xattrs.items())
        self._ids: dict[Pair, int] = {}
        area = bytearray()
        for pair, count in counts.items():
            encoded = _entry(*pair)
            if count > 1 and len(encoded) > _ID.size:
                self._ids[pair] = len(area) // 4
                area += encoded
        self.shared = bytes(area)

    def body(self, xattrs: Mapping[bytes, bytes]) -> bytes:
        """What follows the inode; empty where nothing is kept.  InvalidTar where it is too much.

        Names in a namespace that EROFS has no number for are left out.
        """
        ids: list[bytes] = []
        own: list[bytes] = []
        for pair in sorted(xattrs.items()):
            number = self._ids.get(pair)
            if number is not None and len(ids) < _MOST_SHARED:
                ids.append(_ID.pack(number))
            else:
                own.append(_entry(*pair))
        content = b"".join(ids + own)
        if not content:
            return b""
        if _HEADER.size + len(content) > _MOST_BODY:
            raise InvalidTar("a file with more extended attributes than a layer can hold")
        return _HEADER.pack(0, len(ids)) + content


def count(body: bytes) -> int:
    """``i_xattr_icount`` for such a body."""
    return (len(body) - _HEADER.size) // 4 + 1 if body else 0


def _entry(name: bytes, value: bytes) -> bytes:
    if len(value) > _MOST_VALUE:
        raise InvalidTar(f"an extended attribute of {len(value)} bytes: {name[:60]!r}")
    for prefix, index in _PREFIXES:
        if name.startswith(prefix):
            suffix = name[len(prefix) :]
            if not suffix and prefix.endswith(b"."):
                return b""
            entry = _ENTRY.pack(len(suffix), index, len(value)) + suffix + value
            return entry + bytes(-len(entry) % 4)
    return b""
