"""Decode a tar's headers, whoever delivers the bytes.

`decode` is a conversation: it asks for a number of bytes, is sent them, and answers
with entries; the caller skips or reads each entry's data.  Understood are v7, ustar, GNU
and PAX (POSIX.1-2017 pax; GNU tar manual, "Tar Internals"), with limits on all of them.
Where GNU tar and Go's archive/tar would disagree, the archive is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache

from lading.layer import sparse
from lading.layer.entry import NO_XATTRS, Entry, InvalidTar, Type
from lading.layer.pax import Pax, parse_records

BLOCK = 512
_ZERO = bytes(BLOCK)
# Mode and owners are one field here: few of them differ, and they are decoded once.
_HEADER = struct.Struct("100s24s12s12s8sc100s6s2s32s32s8s8s155s")
_REMEMBERED = 4096
_USTAR = b"ustar\0"
_CHECKSUM = slice(148, 156)
_ADLER = 65521
_MOST_SIZE = 1 << 62
_TYPES = {
    b"0": Type.FILE,
    b"\0": Type.FILE,
    b"7": Type.FILE,
    b"S": Type.FILE,
    b"1": Type.HARDLINK,
    b"2": Type.SYMLINK,
    b"3": Type.CHARACTER,
    b"4": Type.BLOCK,
    b"5": Type.DIRECTORY,
    b"6": Type.FIFO,
}
_EXTENSIONS = frozenset((b"x", b"X", b"g", b"L", b"K"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a stranger's headers is listened to."""

    header_bytes: int = 1 << 20  # of one member's extended headers
    entries: int = 8_000_000
    segments: int = 1 << 20  # of one sparse file
    file_bytes: int = 1 << 43  # of one file, holes included


DEFAULT_LIMITS = Limits()

Conversation = Generator[int | Entry, bytes, None]


@dataclass(slots=True)
class _Extras:
    """What extended headers said about the entry that comes next."""

    pax: Pax | None = None
    name: bytes | None = None
    target: bytes | None = None
    size: int = 0

    @property
    def describes_a_member(self) -> bool:
        return not (self.pax is None and self.name is None and self.target is None)

    def take(self, limits: Limits, length: int) -> None:
        self.size += length
        if self.size > limits.header_bytes:
            raise InvalidTar(f"extended headers of more than {limits.header_bytes} bytes")


def decode(limits: Limits = DEFAULT_LIMITS) -> Conversation:
    """Ask for bytes by yielding how many; yield entries as they are understood.

    An answer shorter than asked for means the end of the stream.  After an entry the
    next request is sent when the caller has passed its ``stored`` bytes and their padding.
    InvalidTar for anything unsound.
    """
    at, count, extras = 0, 0, _Extras()
    while True:
        block = yield BLOCK
        at += len(block)
        if not block or block == _ZERO:
            if extras.describes_a_member:
                raise InvalidTar("truncated behind an extended header")
            return
        if len(block) < BLOCK:
            raise InvalidTar("truncated in a header")
        flag = block[156:157]
        if flag in _EXTENSIONS:
            length = _size(block)
            extras.take(limits, length)
            body = yield _padded(length)
            at += len(body)
            _extend(extras, flag, body, length)
            continue
        entry = _entry(block, flag, at, extras)
        if flag == b"S" or (extras.pax and extras.pax.is_sparse):
            at = yield from sparse.read_map(entry, block, extras.pax, limits.segments)
        count += 1
        _check(entry, count, limits)
        extras = _Extras()
        at += _padded(entry.stored)
        yield entry


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _extend(extras: _Extras, flag: bytes, body: bytes, length: int) -> None:
    if len(body) < length:
        raise InvalidTar("truncated in an extended header")
    content = body[:length]
    if flag in (b"x", b"X"):
        if extras.pax is not None:
            raise InvalidTar("two extended headers for one member")
        extras.pax = parse_records(content)
    elif flag == b"L":
        extras.name = _long_name(content)
    elif flag == b"K":
        extras.target = _long_name(content)


def _long_name(content: bytes) -> bytes:
    name = content.rstrip(b"\0")
    if b"\0" in name:
        raise InvalidTar("a long name holds a zero byte")
    return name


def _entry(block: bytes, flag: bytes, at: int, extras: _Extras) -> Entry:
    fields = _HEADER.unpack_from(block)
    _verify(block, fields[4])
    name, target = fields[0].partition(b"\0")[0], fields[6].partition(b"\0")[0]
    if fields[7] == _USTAR and fields[13][0]:
        name = fields[13].partition(b"\0")[0] + b"/" + name
    kind = _TYPES.get(flag)
    if kind is None:
        raise InvalidTar(f"member of unknown type {flag!r}")
    mode, uid, gid = _mode_and_owners(fields[1])
    size, time = _number(fields[2]), _time(fields[3])
    entry = Entry(name, kind, mode, uid, gid, time, 0, size, target, 0, 0, NO_XATTRS, 0, at)
    if kind is Type.CHARACTER or kind is Type.BLOCK:
        entry.major, entry.minor = _number(fields[11]), _number(fields[12])
    if extras.describes_a_member:
        _overrule(entry, extras)
    if flag in (b"0", b"\0") and entry.name.endswith(b"/"):
        entry.type = Type.DIRECTORY  # as before POSIX
    _settle(entry)
    return entry


@lru_cache(_REMEMBERED)
def _mode_and_owners(field: bytes) -> tuple[int, int, int]:
    return _number(field[:8]) & 0o7777, _number(field[8:16]), _number(field[16:])


@lru_cache(_REMEMBERED)
def _time(field: bytes) -> int:
    return _number(field, signed=True)


def _overrule(entry: Entry, extras: _Extras) -> None:
    """Long names and PAX records win over the header; both at once is an ambiguity."""
    pax = extras.pax
    if pax is not None:
        if (pax.path and extras.name) or (pax.linkpath and extras.target):
            raise InvalidTar("a member has two long names")
        entry.name = pax.path or entry.name
        entry.target = pax.linkpath or entry.target
        entry.uid = entry.uid if pax.uid is None else pax.uid
        entry.gid = entry.gid if pax.gid is None else pax.gid
        entry.size = entry.size if pax.size is None else pax.size
        if pax.mtime is not None:
            entry.mtime, entry.nanoseconds = pax.mtime
        entry.xattrs = pax.xattrs
    entry.name = extras.name or entry.name
    entry.target = extras.target or entry.target


def _settle(entry: Entry) -> None:
    """Who has data: files; a size elsewhere is what readers disagree about."""
    if entry.type is Type.FILE:
        entry.stored = entry.size
    elif entry.type is Type.HARDLINK:
        entry.size = 0
    elif entry.size:
        raise InvalidTar(f"a {entry.type.name.lower()} with data")


def _check(entry: Entry, count: int, limits: Limits) -> None:
    if count > limits.entries:
        raise InvalidTar(f"more than {limits.entries} members")
    if not 0 <= entry.size <= limits.file_bytes:
        raise InvalidTar(f"a file of {entry.size} bytes")
    if not entry.name:
        raise InvalidTar("a member without a name")
    if max(entry.uid, entry.gid) > 0xFFFF_FFFE:
        raise InvalidTar("an owner that no system knows")
    is_link = entry.type is Type.SYMLINK or entry.type is Type.HARDLINK
    if is_link and not 0 < len(entry.target) < 4096:
        raise InvalidTar("a link without a usable target")


def _size(block: bytes) -> int:
    _verify(block, block[_CHECKSUM])
    size = _number(block[124:136])
    if size > _MOST_SIZE:
        raise InvalidTar("an extended header of impossible size")
    return size


def _verify(block: bytes, field: bytes) -> None:
    """The header's checksum: the sum of its bytes, its own field counted as blanks."""
    # Adler's lower half is one more than the sum of the bytes, and computed in C.
    if _expected_adler(field) == zlib.adler32(block) & 0xFFFF:
        return
    expected = _number(field)
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)
    own = sum(byte - 256 if byte > 127 else byte for byte in field)
    if signed - own + 8 * 32 != expected:  # some old tars summed signed bytes
        raise InvalidTar("a header's checksum is wrong")


@lru_cache(_REMEMBERED)
def _expected_adler(field: bytes) -> int:
    return (_number(field) - 8 * 32 + sum(field) + 1) % _ADLER


def _number(field: bytes, *, signed: bool = False) -> int:
    """An octal number, or GNU's base-256 form."""
    if field[0] & 0x80:
        return _base256(field, signed=signed)
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit():
        digits = digits.replace(b"\0", b" ").split(b" ", 1)[0]
    try:
        return int(digits, 8) if digits.isdigit() else int(b"x")
    except ValueError:
        raise InvalidTar(f"not a number: {field!r}") from None


def _base256(field: bytes, *, signed: bool) -> int:
    if field[0] == 0xFF:
        value = int.from_bytes(field, "big", signed=True)
    else:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    if (value < 0 and not signed) or abs(value) > _MOST_SIZE:
        raise InvalidTar(f"a number out of range: {field!r}")
    return value
