"""Who a container's process is: Docker's USER words, answered from the image's own files.

Digits are always an ID and never looked up as a name (HOSTILE 59).  The files are opened
inside the root, through no link that leaves it, and only up to a limit (HOSTILE 60).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lading.errors import Invalid
from lading.linux.paths import open_in_root

_PASSWD = b"/etc/passwd"
_GROUP = b"/etc/group"
_MOST_ID = 2**31 - 1
_MOST_BYTES = 8 * 1024 * 1024


class BadUser(Invalid):
    """Raised for a USER that does not name anybody in the container."""


@dataclass(frozen=True, slots=True)
class User:
    """Numbers only; *groups* are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


ROOT = User(0, 0, (), "/root")


@dataclass(frozen=True, slots=True)
class _Person:
    """A line of passwd."""

    name: bytes
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Circle:
    """A line of group."""

    name: bytes
    gid: int
    members: tuple[bytes, ...]


def resolve(root_fd: int, text: str, group_add: Sequence[str] = ()) -> User:
    """The user that *text* (``user[:group]``, names or numbers) is inside *root_fd*.

    An empty *text* is root.  *group_add* are further groups (--group-add).  BadUser, with
    Docker's words, when a name is unknown or a number out of range.
    """
    return decide(text, group_add, _read(root_fd, _PASSWD), _read(root_fd, _GROUP))


def decide(text: str, group_add: Sequence[str], passwd: bytes, group: bytes) -> User:
    """The same, given the contents of the two files."""
    user_text, _, group_text = text.partition(":")
    person = _person(user_text, passwd)
    uid = person.uid if person else _number(user_text) or 0
    circles = list(_circles(group))
    if group_text:
        gid, groups = _gid(group_text, circles), []
    else:
        gid = person.gid if person else 0
        groups = [c.gid for c in circles if person and person.name in c.members]
    groups += [_gid(name, circles) for name in group_add]
    for number in (uid, gid, *groups):
        _check_range(number)
    home = person.home if person else ""
    return User(uid, gid, tuple(dict.fromkeys(g for g in groups if g != gid)), home or "/")


def _person(text: str, passwd: bytes) -> _Person | None:
    """Who *text* names; None for a number that nobody has."""
    uid = _number(text) if text else 0
    if uid is not None:
        _check_range(uid)
        return next((p for p in _people(passwd) if p.uid == uid), None)
    name = _bytes(text)
    for person in _people(passwd):
        if person.name == name:
            return person
    raise BadUser(f"unable to find user {text}: no matching entries in passwd file")


def _gid(text: str, circles: Sequence[_Circle]) -> int:
    number = _number(text)
    if number is not None:
        return number
    name = _bytes(text)
    for circle in circles:
        if circle.name == name:
            return circle.gid
    raise BadUser(f"unable to find group {text}: no matching entries in group file")


def _number(text: str) -> int | None:
    """The ID that *text* is; None when it is a name.  A sign makes it a number out of range."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    # A number of many digits is out of range whatever it is, and slow to read.
    if len(digits) > 20 or text.startswith("-"):
        return -1
    return int(digits)


def _check_range(number: int) -> None:
    if not 0 <= number <= _MOST_ID:
        raise BadUser(f"uids and gids must be in range 0-{_MOST_ID}")


def _people(passwd: bytes) -> Iterator[_Person]:
    for fields in _lines(passwd, 4):
        uid, gid = _field_number(fields[2]), _field_number(fields[3])
        if uid is not None and gid is not None:
            home = fields[5] if len(fields) > 5 else b""
            yield _Person(fields[0], uid, gid, home.decode("utf-8", "replace"))


def _circles(group: bytes) -> Iterator[_Circle]:
    for fields in _lines(group, 3):
        gid = _field_number(fields[2])
        if gid is not None:
            members = fields[3].split(b",") if len(fields) > 3 and fields[3] else []
            yield _Circle(fields[0], gid, tuple(members))


def _lines(text: bytes, least: int) -> Iterator[list[bytes]]:
    for line in text.splitlines():
        fields = line.strip().split(b":")
        if len(fields) >= least and not line.startswith(b"#"):
            yield fields


def _field_number(field: bytes) -> int | None:
    return int(field) if field.isdigit() and len(field) <= 20 else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read(root_fd: int, path: bytes) -> bytes:
    """The file's content; nothing where there is no regular file by that name."""
    try:
        found = open_in_root(root_fd, path, os.O_PATH)
    except OSError:
        return b""
    try:
        # Opened only when it is known to be harmless: a fifo would wait, a device might act.
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return b""
        with open(f"/proc/self/fd/{found}", "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    finally:
        os.close(found)
    if len(content) > _MOST_BYTES:
        raise BadUser(f"{path.decode()} in the container is larger than {_MOST_BYTES} bytes")
    return content
