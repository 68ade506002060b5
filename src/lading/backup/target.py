"""What a target says of itself: who it is, whether it is encrypted, and its key slots (pure).

The first backup makes it; it is a manifest of its own, under the tag `TAG`.
"""

from __future__ import annotations

import secrets

import msgspec

from lading.backup import sealing, slots
from lading.backup.sealing import Keys
from lading.backup.slots import Secret, Slot
from lading.errors import Corrupt, Denied, Invalid, Unsupported

TAG = "lading-target"
VERSION = 1
_ID = 16
_MOST_SLOTS = 32
_NONE = "none"


class NotATarget(Corrupt):
    """Raised where a target's own document cannot be read."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the target's own document is damaged: {why}")


class SecretWanted(Denied):
    """Raised where an encrypted target is opened without a passphrase or key file."""

    def __init__(self) -> None:
        super().__init__("the target is encrypted: give --passphrase-file or --key-file")


class NotEncrypted(Invalid):
    """Raised where a target without encryption is opened with a secret."""

    def __init__(self) -> None:
        super().__init__(
            "the target is not encrypted, and is so from its first backup on: use another one, "
            "or leave --passphrase-file and --key-file out"
        )


class TargetDocument(msgspec.Struct, frozen=True, kw_only=True):
    """*id* is 32 hex digits; *encryption* ``none`` or a cipher's name."""

    version: int = VERSION
    id: str
    encryption: str = _NONE
    slots: list[Slot] = []

    @property
    def is_encrypted(self) -> bool:
        return self.encryption != _NONE

    def keys(self, secret: Secret | None) -> Keys | None:
        """What opens its blobs; SecretWanted, WrongSecret, NotEncrypted."""
        if not self.is_encrypted:
            if secret is not None:
                raise NotEncrypted
            return None
        if secret is None:
            raise SecretWanted
        id_ = bytes.fromhex(self.id)
        return Keys(slots.unwrap(self.slots, secret, id_, self.encryption), id_, self.encryption)

    def with_secret(self, keys: Keys, secret: Secret) -> TargetDocument:
        """The same target, opened by *secret* too."""
        added = slots.wrap(keys.master, secret, keys.target, keys.cipher)
        return msgspec.structs.replace(self, slots=[*self.slots, added])


def new(secret: Secret | None, cipher: str = sealing.CIPHERS[0]) -> TargetDocument:
    """A new target, encrypted where there is a *secret*."""
    id_ = secrets.token_bytes(_ID)
    if secret is None:
        return TargetDocument(id=id_.hex())
    master = secrets.token_bytes(sealing.KEY)
    slot = slots.wrap(master, secret, id_, cipher)
    return TargetDocument(id=id_.hex(), encryption=cipher, slots=[slot])


def encode(document: TargetDocument) -> bytes:
    return msgspec.json.encode(document)


def decode(raw: bytes) -> TargetDocument:
    """NotATarget, Unsupported for a newer version."""
    try:
        found = msgspec.json.decode(raw, type=TargetDocument)
        if len(bytes.fromhex(found.id)) != _ID or len(found.slots) > _MOST_SLOTS:
            raise NotATarget("its ID or its slots")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotATarget(str(error)) from None
    if found.version > VERSION:
        raise Unsupported(f"the target has version {found.version}, newer than this lading's")
    if found.encryption not in (_NONE, *sealing.CIPHERS):
        raise Unsupported(f"unknown encryption of the target: {found.encryption[:80]!r}")
    return found
