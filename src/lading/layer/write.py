"""Write tar members: the same entry gives the same bytes, and every reader agrees on them.

Plain ustar where it can say everything; PAX records for long names, nanoseconds and
extended attributes; base-256 for numbers that are too large; PAX 1.0 for sparse files.
GNU tar and Go's archive/tar read all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lading.layer.entry import Entry, Type

BLOCK = 512
END = bytes(2 * BLOCK)
_FLAGS = {
    Type.FILE: b"0",
    Type.HARDLINK: b"1",
    Type.SYMLINK: b"2",
    Type.CHARACTER: b"3",
    Type.BLOCK: b"4",
    Type.DIRECTORY: b"5",
    Type.FIFO: b"6",
}
_MOST_NAME = 100
_CHECKSUM_AT = 148


def header(entry: Entry) -> bytes:
    """The header blocks of *entry*; its stored bytes and their padding follow.

    For a sparse file (with `segments`) the map is part of what is returned, and what
    follows is its pieces.
    """
    records = _records(entry)
    if entry.segments is None:
        return _extended(records) + _block(entry, entry.size)
    table = _sparse_map(entry.segments)
    stored = sum(length for _, length in entry.segments)
    records += [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", entry.name),
        (b"GNU.sparse.realsize", b"%d" % entry.size),
    ]
    shown = replace(entry, name=b"GNUSparseFile.0/" + entry.name[-80:])
    return _extended(records) + _block(shown, len(table) + stored) + table


def padding(length: int) -> bytes:
    """The zeros that fill the last block of *length* bytes."""
    return bytes(-length % BLOCK)


def _records(entry: Entry) -> list[tuple[bytes, bytes]]:
    records = []
    if len(entry.name) > _MOST_NAME and entry.segments is None:
        records.append((b"path", entry.name))
    if len(entry.target) > _MOST_NAME:
        records.append((b"linkpath", entry.target))
    if entry.nanoseconds:
        records.append((b"mtime", _decimal(entry.mtime, entry.nanoseconds)))
    for name in sorted(entry.xattrs):
        records.append((b"SCHILY.xattr." + name, entry.xattrs[name]))
    return records


def _decimal(seconds: int, nanoseconds: int) -> bytes:
    if seconds < 0:  # -0.25 is one second before 1970 and 750,000,000 nanoseconds after that
        seconds, nanoseconds = seconds + 1, 1_000_000_000 - nanoseconds
        return b"-%d.%09d" % (-seconds, nanoseconds)
    return b"%d.%09d" % (seconds, nanoseconds)


def _extended(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records)
    if not body:
        return b""
    about = Entry(b"PaxHeaders.0/x", Type.FILE, 0o644, 0, 0, 0, 0, 0, b"", 0, 0, {}, 0, 0)
    return _block(about, len(body), b"x") + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


def _sparse_map(segments: Iterable[tuple[int, int]]) -> bytes:
    pairs = [b"%d\n%d\n" % pair for pair in segments]
    table = b"%d\n" % len(pairs) + b"".join(pairs)
    return table + padding(len(table))


def _block(entry: Entry, size: int, flag: bytes | None = None) -> bytes:
    name = entry.name[:_MOST_NAME]
    block = bytearray(
        b"".join(
            (
                name.ljust(100, b"\0"),
                b"%07o\0" % entry.mode,
                _number(entry.uid, 8),
                _number(entry.gid, 8),
                _number(size, 12),
                _number(entry.mtime, 12),
                b"        ",
                flag or _FLAGS[entry.type],
                entry.target[:_MOST_NAME].ljust(100, b"\0"),
                b"ustar\x0000",
                bytes(64),
                _number(entry.major, 8),
                _number(entry.minor, 8),
                bytes(167),
            )
        )
    )
    block[_CHECKSUM_AT : _CHECKSUM_AT + 8] = b"%06o\0 " % sum(block)
    return bytes(block)


def _number(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    if value < 0:
        return value.to_bytes(width, "big", signed=True)
    return b"\x80" + value.to_bytes(width - 1, "big")
