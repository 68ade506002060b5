"""Sparse files in tars: GNU's old form, PAX 0.0, 0.1 and 1.0 (GNU tar manual, appendix D)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from lading.layer.entry import Entry, InvalidTar
from lading.layer.pax import Pax, number

_BLOCK = 512
_PAIR = 24  # two octal fields of twelve bytes
_OLD_FIRST, _OLD_COUNT, _OLD_MORE, _OLD_SIZE = 386, 4, 482, slice(483, 495)
_NEXT_COUNT, _NEXT_MORE = 21, 504

Segments = tuple[tuple[int, int], ...]


def read_map(entry: Entry, block: bytes, pax: Pax | None, most: int) -> Generator[int, bytes, int]:
    """Fill in the entry's segments, asking for what of the map lies behind the header.

    Answers the data's offset in the tar.  InvalidTar when the map is not in order, or
    names other bytes than are stored.
    """
    if pax is not None and pax.is_sparse:
        segments = yield from _pax_map(entry, pax, most)
    else:
        segments = yield from _old_map(entry, block, most)
    _check(entry, segments)
    entry.segments = segments
    return entry.offset


def _pax_map(entry: Entry, pax: Pax, most: int) -> Generator[int, bytes, Segments]:
    said = pax.sparse
    size = said.get(b"realsize", said.get(b"size"))
    if size is None:
        raise InvalidTar("a sparse file without a size")
    entry.size = number(size)
    if said.get(b"major") == b"1":
        return (yield from _leading_map(entry, most))
    numbers = said[b"map"].split(b",") if b"map" in said else pax.sparse_pairs
    return _pairs([number(digits) for digits in numbers if digits], most)


def _leading_map(entry: Entry, most: int) -> Generator[int, bytes, Segments]:
    """Form 1.0: decimal lines at the start of the data, padded to a block."""
    text, taken = b"", 0
    while True:
        lines = text.split(b"\n")[:-1]
        if lines and len(lines) > 2 * _count(lines[0], most):
            break
        block = yield _BLOCK
        taken += len(block)
        if len(block) < _BLOCK or taken > entry.stored:
            raise InvalidTar("truncated in a sparse file's map")
        text += block
    entry.stored -= taken
    entry.offset += taken
    return _pairs([number(line) for line in lines[1 : 1 + 2 * number(lines[0])]], most)


def _count(line: bytes, most: int) -> int:
    count = number(line)
    if count > most:
        raise InvalidTar(f"a sparse file of {count} pieces")
    return count


def _old_map(entry: Entry, block: bytes, most: int) -> Generator[int, bytes, Segments]:
    numbers = _octal_pairs(block, _OLD_FIRST, _OLD_COUNT)
    more = block[_OLD_MORE]
    entry.size = _octal(block[_OLD_SIZE])
    while more:
        block = yield _BLOCK
        if len(block) < _BLOCK:
            raise InvalidTar("truncated in a sparse file's map")
        numbers += _octal_pairs(block, 0, _NEXT_COUNT)
        if len(numbers) > 2 * most:
            raise InvalidTar(f"a sparse file of more than {most} pieces")
        more = block[_NEXT_MORE]
        entry.offset += _BLOCK
    return _pairs(numbers, most)


def _octal_pairs(block: bytes, first: int, count: int) -> list[int]:
    numbers: list[int] = []
    for at in range(first, first + count * _PAIR, _PAIR):
        if not block[at]:
            break
        numbers += (_octal(block[at : at + 12]), _octal(block[at + 12 : at + _PAIR]))
    return numbers


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value > 1 << 62:
            raise InvalidTar("a sparse file's map is out of range")
        return value
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():
        raise InvalidTar("a sparse file's map is not a number")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise InvalidTar("a sparse file's map is not a number") from None


def _pairs(numbers: Sequence[int], most: int) -> Segments:
    if len(numbers) % 2 or len(numbers) > 2 * most:
        raise InvalidTar("a sparse file's map is incomplete")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _check(entry: Entry, segments: Segments) -> None:
    end = 0
    for offset, length in segments:
        if offset < end or offset + length > entry.size:
            raise InvalidTar("a sparse file's pieces overlap or leave the file")
        end = offset + length
    if sum(length for _, length in segments) != entry.stored:
        raise InvalidTar("a sparse file's map does not fit its data")
