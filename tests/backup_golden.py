"""Golden examples of the backup format, made from fixed input; run it to write them anew.

They are what another implementation can be held to: docs/backup-format.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from lading.backup import sealing, slots, tree
from lading.backup.packs import RAW, ZSTD, Coded, PackWriter
from lading.backup.sealing import Keys, namer, seal_document
from lading.backup.slots import Secret, Slot
from lading.backup.tree import Entry, Kind
from lading.oci.digest import Digest

FILE = Path(__file__).parent / "unit" / "backup" / "golden.json"
MASTER, TARGET = bytes(range(32)), bytes(range(100, 116))
SALT = bytes(range(200, 232))
CHUNKS = (b"a chunk as it is", b"a chunk that is compressed " * 9, b"")
KEYS = Keys(MASTER, TARGET, "aes-256-gcm")
PASSPHRASE = Secret.passphrase(b"open sesame\n")


def entries() -> list[Entry]:
    """One of every kind."""
    return [
        Entry(b"", int(Kind.DIRECTORY), 0o755, 1, 2, 3),
        Entry(b"deleted", int(Kind.DELETED)),
        Entry(
            b"file", int(Kind.FILE), 0o4755, 0, 0, -1_500_000_000, 18,
            xattrs={b"user.x": b"\0"}, runs=[(0, 0, 2)], ctime=9, inode=8, settled=True,
        ),
        Entry(b"hard", int(Kind.HARDLINK), target=b"file"),
        Entry(b"link", int(Kind.SYMLINK), 0o777, target=b"../\xff"),
        Entry(b"null", int(Kind.CHARACTER), 0o666, major=1, minor=3),
        Entry(b"sparse", int(Kind.FILE), 0o644, size=10**9, extents=[(5, 16)], runs=[(0, 0, 1)]),
    ]  # fmt: skip


def coded(keys: Keys | None, level: int = 3) -> list[Coded]:
    name, found = namer(keys), []
    for content in CHUNKS:
        smaller = zstandard.ZstdCompressor(level=level).compress(content)
        is_smaller = len(smaller) < len(content)
        stored = smaller if is_smaller else content
        found.append(Coded(name(content), stored, len(content), ZSTD if is_smaller else RAW))
    return found


def pack(keys: Keys | None) -> bytes:
    writer = PackWriter(keys, SALT)
    for chunk in coded(keys):
        writer.add(chunk)
    return writer.finish()


def slot() -> Slot:
    """A key slot with a fixed salt and nonce."""
    made = Slot(kdf="scrypt", salt=SALT[:16], wrapped=b"", n=1024, r=8, p=1)
    key = sealing.cipher(KEYS.cipher, slots._key(made, PASSPHRASE))
    nonce = SALT[:12]
    sealed = key.encrypt(nonce, MASTER, slots._about(made, TARGET))
    return Slot(kdf="scrypt", salt=made.salt, wrapped=nonce + sealed, n=1024, r=8, p=1)


def golden() -> dict[str, str]:
    """Everything, in hex."""
    found = slot()
    return {
        "pack": pack(None).hex(),
        "sealed pack": pack(KEYS).hex(),
        "tree": tree.encode([Digest.of(pack(None))], entries()).hex(),
        "sealed document": seal_document(KEYS, "bill", b'{"version":1}', SALT).hex(),
        "slot salt": found.salt.hex(),
        "slot wrapped": found.wrapped.hex(),
        "naming key": KEYS.naming.hex(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
