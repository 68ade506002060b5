"""Golden files of the backup format, read by a reader written from the document alone."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import blake3
import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

import backup_golden
from backup_golden import CHUNKS, KEYS, MASTER, PASSPHRASE, TARGET
from lading.backup import tree
from lading.backup.packs import PackReader
from lading.backup.sealing import namer, open_document
from lading.backup.slots import Slot, unwrap

GOLDEN = {k: bytes.fromhex(v) for k, v in json.loads(backup_golden.FILE.read_text()).items()}


def hkdf(key: bytes, salt: bytes | None, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, purpose).derive(key)


def opened(kind: bytes, salt: bytes, number: int, sealed: bytes) -> bytes:
    place = struct.pack(">Q", number)
    cipher = AESGCM(hkdf(MASTER, salt, b"lading blob " + kind))
    return cipher.decrypt(bytes(4) + place, sealed, kind + b"\0" + TARGET + place)


def chunks_of(pack: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents, as docs/backup-format.md describes a pack."""
    is_sealed = pack[:8] == b"LADPACS1"
    assert is_sealed or pack[:8] == b"LADPACK1"
    salt, at = (pack[8:40], 40) if is_sealed else (b"", 8)
    (length,) = struct.unpack(">I", pack[-4:])
    directory = pack[-4 - length : -4]
    if is_sealed:
        directory = opened(b"pack", salt, 2**64 - 1, directory)
    found = []
    for number, row in enumerate(struct.iter_unpack(">32sIIB", directory)):
        name, stored, size, coding = row
        content = pack[at : at + stored]
        at += stored
        if is_sealed:
            content = opened(b"pack", salt, number, content)
        if coding == 1:
            content = zstandard.ZstdDecompressor().decompress(content)
        assert len(content) == size
        found.append((name, content))
    assert at == len(pack) - 4 - length
    return found


class TestByTheDocument:
    @pytest.mark.parametrize("which", ["pack", "sealed pack"])
    def test_a_pack(self, which: str) -> None:
        found = chunks_of(GOLDEN[which])
        key = hkdf(MASTER, None, b"lading chunk names") if which == "sealed pack" else None
        assert [content for _, content in found] == list(CHUNKS)
        for name, content in found:
            assert blake3.blake3(content, key=key).digest() == name

    def test_a_tree(self) -> None:
        raw = GOLDEN["tree"]
        assert raw[:8] == b"LADTREE1"
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw[8:])).read()
        blocks: list[Any] = []
        while content:
            (length,) = struct.unpack(">I", content[:4])
            blocks.append(msgspec.msgpack.decode(content[4 : 4 + length]))
            content = content[4 + length :]
        head, rows = blocks
        assert head["version"] == 1 and len(head["packs"]) == 1
        assert [row[0] for row in rows] == [
            b"", b"deleted", b"file", b"hard", b"link", b"null", b"sparse"
        ]  # fmt: skip
        assert [row[1] for row in rows] == [1, 7, 0, 6, 2, 3, 0]
        assert rows[2][2:] == [0o4755, 0, 0, -1_500_000_000, 18, b"", 0, 0, {b"user.x": b"\0"},
                               None, [[0, 0, 2]], 9, 8, True]  # fmt: skip
        assert rows[3][7] == b"file" and rows[4][7] == b"../\xff" and rows[5][8:10] == [1, 3]
        assert rows[6][11:13] == [[[5, 16]], [[0, 0, 1]]]

    def test_a_sealed_document(self) -> None:
        raw = GOLDEN["sealed document"]
        assert opened(b"bill", raw[:32], 0, raw[32:]) == b'{"version":1}'

    def test_a_key_slot(self) -> None:
        salt, wrapped = GOLDEN["slot salt"], GOLDEN["slot wrapped"]
        key = Scrypt(salt=salt, length=32, n=1024, r=8, p=1).derive(b"open sesame")
        about = b"lading key slot scrypt 1024 8 1 " + salt + TARGET
        assert AESGCM(key).decrypt(wrapped[:12], wrapped[12:], about) == MASTER


class TestByLading:
    """What was written once can be read for ever."""

    @pytest.mark.parametrize(("which", "keys"), [("pack", None), ("sealed pack", KEYS)])
    def test_a_pack(self, which: str, keys: Any) -> None:
        raw = GOLDEN[which]
        reader = PackReader(io.BytesIO(raw), len(raw), keys, namer(keys))
        assert tuple(reader.read(n) for n in range(len(CHUNKS))) == CHUNKS

    def test_a_tree(self) -> None:
        assert tree.decode(GOLDEN["tree"]).entries == backup_golden.entries()

    def test_a_sealed_document(self) -> None:
        assert open_document(KEYS, "bill", GOLDEN["sealed document"], "x") == b'{"version":1}'

    def test_a_key_slot(self) -> None:
        found = Slot(
            kdf="scrypt", salt=GOLDEN["slot salt"], wrapped=GOLDEN["slot wrapped"], n=1024, r=8, p=1
        )
        assert unwrap([found], PASSPHRASE, TARGET, KEYS.cipher) == MASTER
        assert KEYS.naming == GOLDEN["naming key"]

    def test_packs_are_still_written_so(self) -> None:
        made = chunks_of(backup_golden.pack(KEYS))
        assert made == chunks_of(GOLDEN["sealed pack"])
