"""The keys that leave a container without ending it."""

from __future__ import annotations

from lading.cli.faults import Fault

DEFAULT = "ctrl-p,ctrl-q"
_CONTROLS = {chr(ord("a") + n): n + 1 for n in range(26)}
_CONTROLS.update({"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31})


class DetachKeys:
    """Watches what is typed for a sequence of keys; pure, nothing is read here."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    @classmethod
    def parse(cls, text: str) -> DetachKeys:
        """From ``ctrl-p,ctrl-q`` or ``a,b``; Fault where a key is unknown."""
        return cls(bytes(_key(word) for word in (text or DEFAULT).split(",")))

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What of *typed* goes on to the container, and whether the sequence is complete.

        The beginning of a sequence is held back until it is clear what it becomes.
        """
        passed = bytearray()
        for byte in typed:
            while self._matched and byte != self._keys[self._matched]:
                # What was held back was typed for the container, but for a shorter beginning.
                held = self._keys[: self._matched]
                self._matched = _overlap(held)
                passed += held[: len(held) - self._matched]
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self._matched = 0
                    return bytes(passed), True
            else:
                passed.append(byte)
        return bytes(passed), False


def _overlap(held: bytes) -> int:
    """The longest proper beginning of *held* that is also its end."""
    return next((n for n in range(len(held) - 1, 0, -1) if held.endswith(held[:n])), 0)


def _key(word: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    control = word.removeprefix("ctrl-")
    if control == word or control not in _CONTROLS:
        raise Fault(f"invalid detach keys: unknown character '{word}'")
    return _CONTROLS[control]
