"""Chunks, packs, trees and bills: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backup_box
from lading.backup import bill as bills
from lading.backup import chunks, packs, tree
from lading.backup.packs import InvalidPack, PackReader, PackWriter, code, compressor
from lading.backup.sealing import Keys, NotAuthentic, namer
from lading.backup.tree import Entry, InvalidTree, Kind
from lading.errors import Corrupt, Invalid, LadingError, Unsupported
from lading.layer.entry import UnsafeName
from lading.oci.digest import Digest

KEYS = Keys(bytes(range(32)), bytes(16), "aes-256-gcm")
PACK = Digest.of(b"a pack")

names = st.binary(min_size=1, max_size=20).filter(
    lambda name: not set(name) & {0, 47} and name not in (b".", b"..")
)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
numbers = st.integers(0, 2**40)
entries = st.builds(
    Entry,
    path=paths,
    kind=st.sampled_from([int(kind) for kind in Kind if kind is not Kind.HARDLINK]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**62), 2**62),
    size=numbers,
    target=st.binary(max_size=30),
    xattrs=st.dictionaries(names, st.binary(max_size=20), max_size=3),
    runs=st.lists(st.tuples(st.just(0), st.integers(0, 9), st.integers(1, 9)), max_size=3),
    ctime=numbers,
    inode=numbers,
    settled=st.booleans(),
)


def reader_of(content: bytes, sizes: random.Random) -> Callable[[int], bytes]:
    stream = io.BytesIO(content)
    return lambda size: stream.read(sizes.randint(1, size))


def cut(content: bytes, seed: int = 0) -> list[bytes]:
    return [bytes(c) for c in chunks.cut(reader_of(content, random.Random(seed)))]


class TestChunks:
    @pytest.mark.parametrize("size", [0, 1, chunks.LEAST, 5_000_000, 20_000_000])
    def test_they_are_the_content_however_it_is_read(self, size: int) -> None:
        content = random.Random(size).randbytes(size)
        pieces = cut(content, seed=1)
        assert b"".join(pieces) == content
        assert pieces == cut(content, seed=2)
        assert all(len(piece) <= chunks.MOST for piece in pieces)

    def test_a_change_touches_the_chunks_around_it_alone(self) -> None:
        content = random.Random(3).randbytes(12_000_000)
        changed = content[:6_000_000] + b"inserted" + content[6_000_000:]
        new = set(cut(changed)) - set(cut(content))
        assert 1 <= len(new) <= 3

    def test_zeros_are_one_chunk_over_and_over(self) -> None:
        assert len(set(cut(bytes(10 * chunks.MOST)))) == 1


def pack_of(contents: list[bytes], keys: Keys | None) -> bytes:
    name, writer = namer(keys), PackWriter(keys)
    for content in contents:
        writer.add(code(name(content), content, compressor()))
    return writer.finish()


def read(pack: bytes, keys: Keys | None) -> PackReader:
    return PackReader(io.BytesIO(pack), len(pack), keys, namer(keys))


@pytest.mark.parametrize("keys", [None, KEYS], ids=["plain", "sealed"])
class TestPacks:
    @given(contents=st.lists(st.binary(max_size=300), max_size=6))
    def test_every_chunk_comes_back(self, keys: Keys | None, contents: list[bytes]) -> None:
        reader = read(pack_of(contents, keys), keys)
        assert [reader.read(number) for number in range(len(reader.rows))] == contents

    def test_every_flipped_byte_is_noticed(self, keys: Keys | None) -> None:
        contents = [b"first " * 20, os.urandom(50), b""]
        pack = pack_of(contents, keys)
        for at in range(len(pack)):
            wrong = bytearray(pack)
            wrong[at] ^= 0x40
            with pytest.raises(Corrupt):
                reader = read(bytes(wrong), keys)
                for number in range(3):
                    reader.read(number)

    def test_every_truncation_is_noticed(self, keys: Keys | None) -> None:
        pack = pack_of([b"first " * 20, b"second"], keys)
        for length in range(len(pack)):
            with pytest.raises(Corrupt):
                read(pack[:length], keys)

    def test_a_chunk_that_is_not_there_is_refused(self, keys: Keys | None) -> None:
        reader = read(pack_of([b"one"], keys), keys)
        for number in (-1, 1):
            with pytest.raises(InvalidPack):
                reader.read(number)


class TestSealedPacks:
    def test_a_plain_one_is_not_taken_for_one(self) -> None:
        with pytest.raises(InvalidPack):
            read(pack_of([b"x"], None), KEYS)

    def test_another_target_s_is_not_authentic(self) -> None:
        other = Keys(KEYS.master, b"another target!!", KEYS.cipher)
        with pytest.raises(NotAuthentic):
            read(pack_of([b"x"], KEYS), other)

    def test_chunks_do_not_change_places(self) -> None:
        pack = bytearray(pack_of([b"a" * 9, b"b" * 9], KEYS))
        begin, size = len(packs.SEALED) + 32, 9 + 16
        first, second = pack[begin : begin + size], pack[begin + size : begin + 2 * size]
        pack[begin : begin + 2 * size] = second + first
        with pytest.raises(NotAuthentic):
            read(bytes(pack), KEYS).read(0)

    def test_names_tell_nothing_of_known_content(self) -> None:
        assert namer(KEYS)(b"known") != namer(None)(b"known")
        assert b"known content" not in pack_of([b"known content"], KEYS)


class TestTrees:
    @given(rows=st.lists(entries, max_size=8))
    def test_what_was_written_is_read(self, rows: list[Entry]) -> None:
        found = tree.decode(tree.encode([PACK], rows))
        assert found.packs == [PACK]
        assert found.entries == rows

    def test_the_same_entries_give_the_same_bytes(self) -> None:
        rows = [Entry(b"%d" % n, 0, xattrs={b"b": b"2", b"a": b"1"}) for n in range(3000)]
        assert tree.encode([PACK], rows) == tree.encode([PACK], rows)

    @pytest.mark.parametrize(
        "path",
        [b"..", b"../x", b"a/../../x", b"/abs", b"a//b", b"a/", b"./a", b"a\0b", b"x" * 256, b"."],
    )
    def test_names_that_lead_elsewhere_are_refused(self, path: bytes) -> None:
        with pytest.raises(UnsafeName):
            tree.decode(tree.encode([], [Entry(path, 0)]))

    @pytest.mark.parametrize("target", [b"../x", b"/etc/passwd", b"a/../b"])
    def test_hard_links_that_lead_elsewhere_are_refused(self, target: bytes) -> None:
        with pytest.raises(UnsafeName):
            tree.decode(tree.encode([], [Entry(b"a", int(Kind.HARDLINK), target=target)]))

    @pytest.mark.parametrize(
        "wrong",
        [
            Entry(b"a", 8),
            Entry(b"a", 0, mode=0o10000),
            Entry(b"a", 0, runs=[(1, 0, 1)]),
            Entry(b"a", 0, runs=[(0, -1, 1)]),
            Entry(b"a", 0, runs=[(0, 0, 0)]),
            Entry(b"a", 0, size=10, extents=[(5, 6)]),
            Entry(b"a", 0, size=10, extents=[(5, 2), (6, 1)]),
            Entry(b"a", 0, size=-1),
        ],
    )
    def test_what_no_writer_writes_is_refused(self, wrong: Entry) -> None:
        with pytest.raises(InvalidTree):
            tree.decode(tree.encode([PACK], [wrong]))

    @given(content=st.binary(max_size=200))
    def test_other_bytes_are_refused(self, content: bytes) -> None:
        for raw in (content, tree.MAGIC + content):
            with pytest.raises(LadingError):
                tree.decode(raw)

    def test_a_newer_one_is_refused_by_name(self) -> None:
        newer = tree.Head(version=2)
        encoder = msgspec.msgpack.Encoder()
        block = encoder.encode(newer)
        import zstandard

        raw = zstandard.ZstdCompressor().compress(len(block).to_bytes(4, "big") + block)
        with pytest.raises(Unsupported, match="version 2"):
            tree.decode(tree.MAGIC + raw)


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> bills.Bill:
    place: Path = tmp_path_factory.mktemp("bill")
    return backup_box.bill(backup_box.depot(place / "target"), {})


class TestBills:
    def test_what_was_written_is_read(self, bill: bills.Bill) -> None:
        assert bills.decode(bills.encode(bill)) == bill

    def test_a_newer_one_is_refused_by_name(self, bill: bills.Bill) -> None:
        newer = msgspec.structs.replace(bill, version=2)
        with pytest.raises(Unsupported, match="version 2"):
            bills.decode(bills.encode(newer))

    @settings(max_examples=50)
    @given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
    def test_damage_is_refused_or_changes_what_it_says(
        self, bill: bills.Bill, at: int, byte: int
    ) -> None:
        raw = bytearray(bills.encode(bill))
        raw[at % len(raw)] = byte
        try:
            bills.decode(bytes(raw))
        except (Corrupt, Invalid, Unsupported):
            pass

    @pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b'{"version":1}', b"\xff"])
    def test_other_documents_are_refused(self, raw: bytes) -> None:
        with pytest.raises(bills.InvalidBill):
            bills.decode(raw)

    def test_a_manifest_that_is_not_the_image_s_is_refused(self, bill: bills.Bill) -> None:
        image = msgspec.structs.replace(bill.image, manifest=b"{}")
        with pytest.raises(bills.InvalidBill, match="manifest"):
            bills.decode(bills.encode(msgspec.structs.replace(bill, image=image)))
