"""Authenticated encryption of what goes to an encrypted target.

One key, the target's, from which everything else is derived.  Each blob has a salt and so a
key of its own, under which the records of the blob are sealed by their positions: no nonce is
ever used twice.  What is sealed is bound to its type, to the target and to its place.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lading.errors import Corrupt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CIPHERS = ("aes-256-gcm", "chacha20-poly1305")
SALT = 32
KEY = 32
TAG = 16  # bytes that sealing adds to a record
_LAST = 2**64 - 1
_POSITION = struct.Struct(">Q")


class NotAuthentic(Corrupt):
    """Raised for bytes that were not sealed with this key, for this purpose and this place."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is damaged or is not what it should be: its seal does not hold")


@dataclass(frozen=True, slots=True)
class Keys:
    """An encrypted target's keys: *master* is wrapped in each of the target's key slots."""

    master: bytes
    target: bytes  # the target's ID, 16 bytes
    cipher: str

    @property
    def naming(self) -> bytes:
        """What chunks are named with, so that names tell nothing of known content."""
        return derived(self.master, b"", b"lading chunk names")

    @property
    def fingerprint(self) -> str:
        """What tells this key from others, and nothing more."""
        return derived(self.master, self.target, b"lading key fingerprint").hex()[:32]

    def sealer(self, kind: str, salt: bytes) -> Sealer:
        """For the records of one blob of that *kind*: ``bill``, ``tree`` or ``pack``."""
        key = derived(self.master, salt, b"lading blob " + kind.encode())
        return Sealer(cipher(self.cipher, key), kind.encode() + b"\0" + self.target)


class Sealer:
    """Seal and open the records of one blob."""

    last = _LAST  # the position of a blob's closing record

    def __init__(self, cipher: AESGCM | ChaCha20Poly1305, about: bytes) -> None:
        self._cipher, self._about = cipher, about

    def seal(self, position: int, content: bytes) -> bytes:
        place = _POSITION.pack(position)
        return self._cipher.encrypt(b"\0\0\0\0" + place, content, self._about + place)

    def open(self, position: int, sealed: bytes, what: str) -> bytes:
        """The content; NotAuthentic, which names it *what*."""
        from cryptography.exceptions import InvalidTag

        place = _POSITION.pack(position)
        try:
            return self._cipher.decrypt(b"\0\0\0\0" + place, sealed, self._about + place)
        except (InvalidTag, ValueError):
            raise NotAuthentic(what) from None


def seal_document(keys: Keys | None, kind: str, content: bytes, salt: bytes | None = None) -> bytes:
    """A whole document as it is stored; as it is without *keys*."""
    if keys is None:
        return content
    salt = secrets.token_bytes(SALT) if salt is None else salt
    return salt + keys.sealer(kind, salt).seal(0, content)


def open_document(keys: Keys | None, kind: str, stored: bytes, what: str) -> bytes:
    """The document in *stored*; NotAuthentic."""
    if keys is None:
        return stored
    return keys.sealer(kind, stored[:SALT]).open(0, stored[SALT:], what)


def namer(keys: Keys | None) -> Callable[[Any], bytes]:
    """What names a chunk: BLAKE3 of its bytes, keyed where there is a key."""
    from blake3 import blake3

    if keys is None:
        return lambda content: blake3(content).digest()
    naming = keys.naming
    return lambda content: blake3(content, key=naming).digest()


def cipher(name: str, key: bytes) -> AESGCM | ChaCha20Poly1305:
    """The cipher of that name; Corrupt for one that is not known."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

    if name == "aes-256-gcm":
        return AESGCM(key)
    if name == "chacha20-poly1305":
        return ChaCha20Poly1305(key)
    raise Corrupt(f"the target's cipher is not known to this lading: {name[:80]!r}")


def derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """A key for one purpose: HKDF with SHA-256 (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY, salt or None, purpose).derive(key)
