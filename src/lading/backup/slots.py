"""Key slots: a target's one key, wrapped for each passphrase and each key file.

A passphrase can so be added, or taken away, without touching any backup.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import msgspec

from lading.backup.sealing import KEY, cipher, derived
from lading.errors import Corrupt, Denied, Invalid

_SALT = 16
_NONCE = 12
_LEAST_KEY_FILE = 32
_COST, _BLOCK, _LANES = 2**16, 8, 1  # 64 MiB, a fifth of a second
_MOST_COST, _MOST_BLOCK, _MOST_LANES = 2**20, 16, 4  # what a stranger's target may ask for


class WrongSecret(Denied):
    """Raised where no key slot opens."""

    def __init__(self) -> None:
        super().__init__("wrong passphrase or key file: none of the target's key slots opens")


@dataclass(frozen=True, slots=True)
class Secret:
    """What a user opens a target with: *kind* is ``passphrase`` or ``keyfile``."""

    kind: str
    content: bytes

    @classmethod
    def passphrase(cls, content: bytes) -> Secret:
        """From a file's content: one line ending is not part of it; Invalid when empty."""
        content = content.removesuffix(b"\n").removesuffix(b"\r")
        if not content:
            raise Invalid("the passphrase is empty")
        return cls("passphrase", content)

    @classmethod
    def key_file(cls, content: bytes) -> Secret:
        """All bytes of the file count; Invalid for fewer than 32."""
        if len(content) < _LEAST_KEY_FILE:
            raise Invalid(f"a key file must have at least {_LEAST_KEY_FILE} random bytes")
        return cls("keyfile", content)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One wrapping of the target's key; *n*, *r* and *p* are scrypt's (RFC 7914)."""

    kdf: str  # scrypt for a passphrase, hkdf for a key file
    salt: bytes
    wrapped: bytes  # nonce, then the sealed key
    n: int = 0
    r: int = 0
    p: int = 0


def wrap(master: bytes, secret: Secret, target: bytes, name: str) -> Slot:
    """A slot that *secret* opens."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    is_passphrase = secret.kind == "passphrase"
    slot = Slot(
        kdf="scrypt" if is_passphrase else "hkdf",
        salt=salt,
        wrapped=b"",
        n=_COST if is_passphrase else 0,
        r=_BLOCK if is_passphrase else 0,
        p=_LANES if is_passphrase else 0,
    )
    sealed = cipher(name, _key(slot, secret)).encrypt(nonce, master, _about(slot, target))
    return msgspec.structs.replace(slot, wrapped=nonce + sealed)


def unwrap(slots: list[Slot], secret: Secret, target: bytes, name: str) -> bytes:
    """The target's key; WrongSecret, Corrupt for slots that ask for too much."""
    from cryptography.exceptions import InvalidTag

    wanted = "scrypt" if secret.kind == "passphrase" else "hkdf"
    for slot in slots:
        if slot.kdf != wanted:
            continue
        key = cipher(name, _key(slot, secret))
        nonce, sealed = slot.wrapped[:_NONCE], slot.wrapped[_NONCE:]
        try:
            master = key.decrypt(nonce, sealed, _about(slot, target))
        except (InvalidTag, ValueError):
            continue
        if len(master) == KEY:
            return master
    raise WrongSecret


def _key(slot: Slot, secret: Secret) -> bytes:
    if slot.kdf == "hkdf":
        return derived(secret.content, slot.salt, b"lading key file")
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    within = 1 < slot.n <= _MOST_COST and 0 < slot.r <= _MOST_BLOCK and 0 < slot.p <= _MOST_LANES
    if not within or slot.n & (slot.n - 1):
        raise Corrupt(f"a key slot asks for too much: scrypt n={slot.n} r={slot.r} p={slot.p}")
    return Scrypt(salt=slot.salt, length=KEY, n=slot.n, r=slot.r, p=slot.p).derive(secret.content)


def _about(slot: Slot, target: bytes) -> bytes:
    text = f"lading key slot {slot.kdf} {slot.n} {slot.r} {slot.p} "
    return text.encode() + slot.salt + target
