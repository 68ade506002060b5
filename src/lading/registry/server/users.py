"""Users and robot accounts: their passwords as bcrypt keeps them, and their rights."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import msgspec

from lading.errors import Conflict, Invalid, NotFound
from lading.registry.server.rights import EVERYTHING, Principal, Right
from lading.store.database import Database

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@$+-]{0,127}")
_MOST_PASSWORD = 72  # bytes that bcrypt looks at
_LEAST_PASSWORD = 8
_ROUNDS = 11


class InvalidUser(Invalid):
    """Raised for a name or a password that cannot be one."""


class UserExists(Conflict):
    """Raised for a name that is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"user {name} exists already: remove it first, or use --replace")


class UserUnknown(NotFound):
    """Raised for a name that nobody has."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such user: {name}")


@dataclass(frozen=True, slots=True)
class User:
    """One account; *password* is bcrypt's text."""

    name: str
    password: bytes
    rights: tuple[Right, ...]
    robot: bool = False
    expires: float | None = None
    quota: int | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.name, self.rights, self.quota)


class Users:
    """The accounts of one registry."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def add(self, user: User, *, replace: bool = False) -> None:
        """Keep the account, durable on return; UserExists, InvalidUser."""
        if not _NAME.fullmatch(user.name):
            raise InvalidUser(f"invalid user name: {user.name[:160]!r}")
        with self._database.transaction() as rows:
            if not replace and self._rows(user.name):
                raise UserExists(user.name)
            rows.execute(
                "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(user.name, user.password.decode("ascii")),
                    msgspec.json.encode([str(right) for right in user.rights]),
                    *(user.robot, user.expires, user.quota),
                ),
            )

    def remove(self, name: str) -> None:
        """Forget the account; its tokens stop to count at once.  UserUnknown."""
        with self._database.transaction() as rows:
            if rows.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount == 0:
                raise UserUnknown(name)

    def find(self, name: str) -> User | None:
        """The account, unless it has expired."""
        rows = self._rows(name)
        user = _user(rows[0]) if rows else None
        if user and user.expires is not None and user.expires <= self._clock():
            return None
        return user

    def all(self) -> list[User]:
        """Every account, by name."""
        return [_user(row) for row in self._database.query("SELECT * FROM users ORDER BY name")]

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        return self._database.query("SELECT * FROM users WHERE name = ?", (name,))


def hashed(password: str, rounds: int = _ROUNDS) -> bytes:
    """What to keep of *password*; InvalidUser."""
    raw = password.encode()
    if not _LEAST_PASSWORD <= len(raw) <= _MOST_PASSWORD or b"\0" in raw:
        raise InvalidUser(f"a password has {_LEAST_PASSWORD} to {_MOST_PASSWORD} bytes")
    return bcrypt.hashpw(raw, bcrypt.gensalt(rounds))


def matches(password: str, kept: bytes) -> bool:
    """Whether *kept* was made of *password*, in a time that does not tell how wrong it is."""
    raw = password.encode()
    if len(raw) > _MOST_PASSWORD or b"\0" in raw:
        raw = b""
    try:
        return bcrypt.checkpw(raw, kept)
    except ValueError:  # what is kept is not bcrypt's
        return False


def read_htpasswd(path: Path) -> Sequence[User]:
    """The accounts in a file of Apache's format, who may do everything; InvalidUser."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        name, colon, password = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        if not colon or not password.startswith(("$2y$", "$2b$", "$2a$")):
            raise InvalidUser(
                f"{path}, line {number}: only bcrypt passwords are known (htpasswd -B)"
            )
        found.append(User(name, password.encode(), (EVERYTHING,)))
    return found


def _user(row: tuple[Any, ...]) -> User:
    name, password, rights, robot, expires, quota = row
    texts = msgspec.json.decode(rights, type=list[str])
    parsed = tuple(Right.parse(text) for text in texts)
    return User(name, password.encode(), parsed, bool(robot), expires, quota)
