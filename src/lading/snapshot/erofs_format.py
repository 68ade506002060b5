"""The structures of an EROFS image, as far as lading writes them.

Sources: the kernel's Documentation/filesystems/erofs.rst and the on-disk definitions it
describes.  All numbers are little-endian; an inode's number (nid) is its offset in
units of 32 bytes, counted from the start of the image (`META_BLOCK` is 0).
"""

from __future__ import annotations

import stat
import struct
from functools import cache

BLOCK_BITS = 9  # 512 bytes: what a tar is aligned to, so its data can be pointed at
BLOCK = 1 << BLOCK_BITS
SLOT = 32
SUPERBLOCK_AT = 1024
DEVICE_AT = SUPERBLOCK_AT + 128
FIRST_BLOCK = 3  # the first one after the device table
MOST_BLOCKS = 0xFFFFFFFE
HOLE = 0xFFFFFFFF
INODE_BYTES = 64
NAME_MOST = 255

FLAT_PLAIN, FLAT_INLINE, CHUNK_BASED = 0, 2, 4
CHUNK_WITH_INDEXES = 0x20

_MAGIC = 0xE0F5E1E2
_COMPAT_MTIME = 0x2
_INCOMPAT_CHUNKED_FILE = 0x4
_INCOMPAT_DEVICE_TABLE = 0x8

_SUPERBLOCK = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ24s")
_DEVICE = struct.Struct("<64sII56x")
INODE = struct.Struct("<HHHHQIIIIqII16x")
DIRENT_BYTES = 12
CHUNK = struct.Struct("<HHI")

FILE_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


def superblock(*, root: int, inodes: int, blocks: int, xattrs: int, name: bytes) -> bytes:
    """The superblock of an image with one extra device; *name* (16 bytes) becomes its UUID.

    *root* is the byte offset of the root's inode, *xattrs* the block of shared attributes.
    """
    return _SUPERBLOCK.pack(
        _MAGIC,
        0,  # no checksum: the index is kept with a digest of its own
        _COMPAT_MTIME,
        BLOCK_BITS,
        0,
        root // SLOT,
        inodes,
        0,
        0,
        blocks,
        0,  # inodes are counted from the image's first byte
        xattrs,
        name,
        b"",
        _INCOMPAT_CHUNKED_FILE | _INCOMPAT_DEVICE_TABLE,
        0,
        1,
        DEVICE_AT // 128,
        0,
        0,
        0,
        0,
        b"",
    )


def device(*, tag: bytes, blocks: int, mapped_at: int) -> bytes:
    """The slot of the extra device: *blocks* of it appear from block *mapped_at* on."""
    return _DEVICE.pack(tag, blocks, mapped_at)


def inode_format(layout: int) -> int:
    """``i_format`` of an extended inode (64 bytes: 64-bit times, full owners)."""
    return 1 | layout << 1


def device_number(major: int, minor: int) -> int:
    """A device node's number as Linux encodes it on disk."""
    return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


@cache
def dirents(count: int) -> struct.Struct:
    """*count* heads of directory entries: nid, offset of the name, file type."""
    return struct.Struct("<" + "QHBx" * count)
