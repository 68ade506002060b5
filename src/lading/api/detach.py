"""The keys that leave a terminal without ending what runs in it (pure).

``ctrl-p,ctrl-q`` unless the user chose others (`docker attach --detach-keys`).
"""

from __future__ import annotations

import re

from lading.errors import Invalid

_DEFAULT = b"\x10\x11"
_CONTROL = re.compile(r"ctrl-([a-z@\[\\\]^_])")


class InvalidDetachKeys(Invalid):
    """Raised for a key sequence that cannot be read, in Docker's words."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid detach keys ({text[:80]}) provided")


def parse_keys(text: str) -> bytes:
    """The bytes a terminal sends for ``a``, ``ctrl-x`` and the like, separated by commas."""
    if not text:
        return _DEFAULT
    keys = bytearray()
    for key in text.split(","):
        control = _CONTROL.fullmatch(key)
        if control:
            keys.append(ord(control[1].upper()) - 64)
        elif len(key) == 1 and key.isascii():
            keys.append(ord(key))
        else:
            raise InvalidDetachKeys(text)
    return bytes(keys)


class DetachWatch:
    """Looks for the keys in what a client types, and holds back what may be their beginning."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to pass on of *typed*, and whether the keys were pressed."""
        if not self._matched and self._keys[:1] not in typed:
            return typed, False
        passed = bytearray()
        for byte in typed:
            passed += self._step(byte)
            if self._matched == len(self._keys):
                return bytes(passed), True
        return bytes(passed), False

    def _step(self, byte: int) -> bytes:
        """Take one byte; what is certain not to belong to the keys comes back."""
        held = self._keys[: self._matched] + bytes((byte,))
        for start in range(len(held) + 1):
            if self._keys.startswith(held[start:]):
                self._matched = len(held) - start
                return held[:start]
        raise AssertionError("the empty ending always matches")
