"""Who sent this request?  Basic and Bearer credentials, checked, and what they are good for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from lading.errors import Denied, Unavailable
from lading.registry.server.failures import Failures
from lading.registry.server.rights import EVERYTHING, PULL_EVERYTHING, Principal, Right
from lading.registry.server.tokens import InvalidToken, Tokens
from lading.registry.server.users import User, Users, hashed, matches

_MOST_PASSED = 1000
_PASS_SECONDS = 300.0


class Unauthenticated(Denied):
    """Raised where credentials are missing or wrong; *challenge* says which are wanted."""

    def __init__(self, challenge: str, why: str = "authentication required") -> None:
        super().__init__(why)
        self.challenge = challenge


class TooManyFailures(Unavailable):
    """Raised for an address that tried too many wrong passwords."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed logins: try again in {seconds} seconds")
        self.seconds = seconds


class WrongPassword(Denied):
    """Raised for a name and password that do not belong together."""

    def __init__(self, name: str) -> None:
        super().__init__("incorrect username or password")
        self.name = name


class Gate:
    """Names the principal behind credentials; *open_to_all* asks for none."""

    def __init__(
        self,
        users: Users,
        tokens: Tokens,
        *,
        open_to_all: bool = False,
        anonymous_pull: bool = False,
        others: Sequence[User] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users, self.tokens = users, tokens
        self._others: Mapping[str, User] = {user.name: user for user in others}
        self._anybody = Principal("", _rights_of_anybody(open_to_all, anonymous_pull))
        self.open_to_all = open_to_all
        self.failures = Failures(clock=clock)
        self._clock = clock
        self._nobody = hashed(secrets.token_hex(16))
        self._salt = secrets.token_bytes(32)
        self._passed: OrderedDict[bytes, float] = OrderedDict()

    @property
    def anybody(self) -> Principal:
        """Whoever shows no credentials."""
        return self._anybody

    def principal(self, authorization: str | None, address: str) -> Principal:
        """Who shows *authorization*; WrongPassword, InvalidToken, TooManyFailures.

        It may take a while: bcrypt does.
        """
        if self.open_to_all or authorization is None:
            return self._anybody
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(credentials.strip())
        if scheme.lower() == "basic":
            name, password = _basic(credentials.strip())
            return self.login(name, password, address)
        raise InvalidToken

    def login(self, name: str, password: str, address: str) -> Principal:
        """The principal whose password that is; WrongPassword, TooManyFailures."""
        seconds = self.failures.wait(address)
        if seconds:
            raise TooManyFailures(seconds)
        user = self._find(name)
        if not self._passes(user, password) or user is None:
            self.failures.note(address)
            raise WrongPassword(name)
        return user.principal

    def find(self, name: str) -> Principal | None:
        """The principal of that name as it is now; the empty name is anybody's."""
        if not name:
            return self._anybody
        user = self._find(name)
        return user.principal if user else None

    def _find(self, name: str) -> User | None:
        return self._users.find(name) or self._others.get(name)

    def _bearer(self, token: str) -> Principal:
        """What the token says, but no more than its owner may now."""
        grant = self.tokens.check(token)
        owner = self.find(grant.name)
        if owner is None:
            raise InvalidToken
        return owner.narrowed(grant.rights)

    def _passes(self, user: User | None, password: str) -> bool:
        """Check the password: as long for a name that nobody has as for one that exists."""
        kept = user.password if user else self._nobody
        mark = hmac.digest(self._salt, kept + b"\0" + password.encode(), hashlib.sha256)
        if self._passed.get(mark, 0.0) > self._clock():
            return True
        if not matches(password, kept) or user is None:
            return False
        self._passed[mark] = self._clock() + _PASS_SECONDS
        if len(self._passed) > _MOST_PASSED:
            self._passed.popitem(last=False)
        return True


def _rights_of_anybody(open_to_all: bool, anonymous_pull: bool) -> tuple[Right, ...]:
    if open_to_all:
        return (EVERYTHING,)
    return (PULL_EVERYTHING,) if anonymous_pull else ()


def _basic(credentials: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidToken from None
    name, _, password = text.partition(":")
    return name, password
