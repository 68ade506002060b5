"""The records of a PAX extended header (POSIX.1-2017 pax, "pax Extended Header")."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from lading.layer.entry import NO_XATTRS, InvalidTar

_SCHILY = b"SCHILY.xattr."
_LIBARCHIVE = b"LIBARCHIVE.xattr."
_SPARSE = b"GNU.sparse."
_MOST_DIGITS = 20
_MOST_XATTR_VALUE = 64 * 1024  # XATTR_SIZE_MAX


@dataclass(slots=True)
class Pax:
    """What the records say about the member that follows."""

    path: bytes | None = None
    linkpath: bytes | None = None
    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime: tuple[int, int] | None = None  # seconds, nanoseconds
    xattrs: Mapping[bytes, bytes] = field(default_factory=lambda: NO_XATTRS)
    sparse: dict[bytes, bytes] = field(default_factory=dict)
    sparse_pairs: list[bytes] = field(default_factory=list)  # form 0.0, in order

    @property
    def is_sparse(self) -> bool:
        return bool(self.sparse)


def parse_records(content: bytes) -> Pax:
    """Take the body of an ``x`` header; InvalidTar."""
    pax = Pax()
    xattrs: dict[bytes, bytes] = {}
    for key, value in _records(content):
        if key.startswith(_SCHILY):
            _add_xattr(xattrs, key[len(_SCHILY) :], value)
        elif key.startswith(_LIBARCHIVE):
            name = unquote_to_bytes(key[len(_LIBARCHIVE) :])
            xattrs.setdefault(name, _base64(value))
        elif key.startswith(_SPARSE):
            _take_sparse(pax, key[len(_SPARSE) :], value)
        elif key in _FIELDS:
            attribute, read = _FIELDS[key]
            setattr(pax, attribute, read(value))
    if xattrs:
        pax.xattrs = xattrs
    if b"name" in pax.sparse:
        pax.path = _text(pax.sparse[b"name"])
    return pax


def number(digits: bytes) -> int:
    """A decimal number that is not negative; InvalidTar."""
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise InvalidTar(f"not a number in an extended header: {digits[:40]!r}")
    return int(digits)


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, end = 0, len(content)
    while at < end:
        blank = content.find(b" ", at, at + _MOST_DIGITS)
        if blank < 0:
            if not content[at:].strip(b"\0"):
                return  # some writers count the padding in
            raise InvalidTar("an extended header's record has no length")
        length = number(content[at:blank])
        record = content[blank + 1 : at + length]
        if length <= blank + 1 - at or at + length > end or record[-1:] != b"\n":
            raise InvalidTar("an extended header's record has a wrong length")
        key, equals, value = record[:-1].partition(b"=")
        if not equals or not key:
            raise InvalidTar("an extended header's record has no keyword")
        yield key, value
        at += length


def _text(value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidTar("a name holds a zero byte")
    return value


def _seconds(value: bytes) -> tuple[int, int]:
    """A decimal fraction, possibly negative, as seconds and nanoseconds."""
    negative = value.startswith(b"-")
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    seconds = number(whole or b"0")
    nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction.isdigit() else 0
    if fraction and not fraction.isdigit():
        raise InvalidTar(f"not a time: {value[:40]!r}")
    if seconds > 1 << 40:
        raise InvalidTar(f"a time out of range: {value[:40]!r}")
    if not negative:
        return seconds, nanoseconds
    return (-seconds - 1, 1_000_000_000 - nanoseconds) if nanoseconds else (-seconds, 0)


def _add_xattr(xattrs: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if not 0 < len(name) <= 255 or b"\0" in name or len(value) > _MOST_XATTR_VALUE:
        raise InvalidTar(f"an extended attribute out of bounds: {name[:60]!r}")
    xattrs[name] = value


def _base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        raise InvalidTar("an extended attribute is not base64") from None


def _take_sparse(pax: Pax, key: bytes, value: bytes) -> None:
    if key in (b"offset", b"numbytes"):
        pax.sparse_pairs.append(value)
    pax.sparse[key] = value


_FIELDS: Mapping[bytes, tuple[str, Callable[[bytes], object]]] = {
    b"path": ("path", _text),
    b"linkpath": ("linkpath", _text),
    b"size": ("size", number),
    b"uid": ("uid", number),
    b"gid": ("gid", number),
    b"mtime": ("mtime", _seconds),
}
