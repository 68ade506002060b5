"""Write tar headers as no sane program would: every field as the test wants it."""

from __future__ import annotations

from collections.abc import Mapping

BLOCK = 512
END = bytes(2 * BLOCK)


def member(
    name: bytes,
    content: bytes = b"",
    *,
    flag: bytes = b"0",
    target: bytes = b"",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    size: bytes | None = None,
    mtime: bytes = b"00000000000\0",
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One member: header, data and padding."""
    fields = [
        name[:100].ljust(100, b"\0"),
        mode,
        uid,
        b"0000000\0",
        size if size is not None else b"%011o\0" % len(content),
        mtime,
        b" " * 8,
        flag,
        target[:100].ljust(100, b"\0"),
        magic,
        bytes(64),
        b"%07o\0" % device[0],
        b"%07o\0" % device[1],
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = bytearray(b"".join(fields))
    block[148:156] = checksum or b"%06o\0 " % sum(block)
    return bytes(block) + content + bytes(-len(content) % BLOCK)


def file(name: bytes, content: bytes = b"hostile") -> bytes:
    return member(name, content)


def directory(name: bytes, mode: bytes = b"0000755\0") -> bytes:
    return member(name, flag=b"5", mode=mode)


def symlink(name: bytes, target: bytes) -> bytes:
    return member(name, flag=b"2", target=target)


def hardlink(name: bytes, target: bytes) -> bytes:
    return member(name, flag=b"1", target=target)


def pax(records: Mapping[bytes, bytes] | bytes, flag: bytes = b"x") -> bytes:
    """An extended header with these records, or with this very body."""
    body = records
    if not isinstance(body, bytes):
        body = b"".join(_record(key, value) for key, value in body.items())
    return member(b"PaxHeaders/x", body, flag=flag)


def long_name(name: bytes, flag: bytes = b"L") -> bytes:
    """GNU's way of saying a long name (L) or link target (K)."""
    return member(b"././@LongLink", name + b"\0", flag=flag)


def tar(*members: bytes) -> bytes:
    return b"".join(members) + END


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)
