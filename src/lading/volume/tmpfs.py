"""The options of a tmpfs: which ones there are, and Docker's defaults for them.

A caller's options come from outside, so only known words reach the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lading.errors import Invalid

_DEFAULTS = ("noexec", "nosuid", "nodev")
_PAIRS: tuple[tuple[str, str], ...] = (
    ("rw", "ro"),
    ("exec", "noexec"),
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("async", "sync"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("norelatime", "relatime"),
    ("nostrictatime", "strictatime"),
)
_OPPOSITE = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
_FLAGS = frozenset(_OPPOSITE) | {"defaults", "dirsync"}
_VALUES = {
    "size": re.compile(r"[0-9]+[kKmMgGtT%]?"),
    "nr_blocks": re.compile(r"[0-9]+[kKmMgG]?"),
    "nr_inodes": re.compile(r"[0-9]+[kKmMgG]?"),
    "mode": re.compile(r"[0-7]{1,5}"),
    "uid": re.compile(r"[0-9]{1,10}"),
    "gid": re.compile(r"[0-9]{1,10}"),
}


class InvalidTmpfsOption(Invalid):
    """Raised for a word that tmpfs does not know."""

    def __init__(self, option: str) -> None:
        super().__init__(f"invalid tmpfs option: {option!r}")


def tmpfs_options(text: str) -> tuple[str, ...]:
    """The kernel's words for ``--tmpfs /x:text``, Docker's defaults filled in; Invalid."""
    return _merge(word for word in text.split(",") if word)


def tmpfs_from_mount(
    size: int, mode: int, options: Sequence[Sequence[str]], *, read_only: bool
) -> tuple[str, ...]:
    """The same for a ``--mount type=tmpfs``; *size* in bytes, 0 for the kernel's default."""
    words = ["=".join(pair) for pair in options]
    words += ["ro"] if read_only else []
    words += [f"mode={mode:o}"] if mode else []
    words += [f"size={size}"] if size else []
    return _merge(words)


def _merge(words: Iterable[str]) -> tuple[str, ...]:
    """Later words win over earlier ones and over the defaults."""
    chosen: dict[str, str] = {word: word for word in _DEFAULTS}
    for word in words:
        _check(word)
        key = word.partition("=")[0]
        chosen.pop(_OPPOSITE.get(key, ""), None)
        chosen.pop(key, None)
        chosen[key] = word
    chosen.pop("defaults", None)
    return tuple(chosen.values())


def _check(word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals and key in _FLAGS:
        return
    if equals and key in _VALUES and _VALUES[key].fullmatch(value):
        return
    raise InvalidTmpfsOption(word)
