"""Who a container's process is: Docker's USER words, answered from the image's own files.

Digits are always an ID, never looked up as a name (HOSTILE 59); the files are opened inside
the root without following links out of it, and read up to a limit (HOSTILE 60).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """Numbers only; *groups* are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


ROOT = User(0, 0, (), "/root")
