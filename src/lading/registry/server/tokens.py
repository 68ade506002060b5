"""Bearer tokens that the registry signs for itself (JWS with HS256, RFC 7515 and 7519).

A token says who and what; it is believed only to the letter: this algorithm, this key,
this issuer and audience, and not a second too early or late.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lading.errors import Denied
from lading.linux.files import write_durably
from lading.registry.server.rights import Right

_HEADER = {"alg": "HS256", "typ": "JWT"}
_MOST = 64 * 1024
_KEY_BYTES = 32
LIFETIME = 300


class InvalidToken(Denied):
    """Raised for a token that this registry did not sign, or not for now."""

    def __init__(self) -> None:
        super().__init__("invalid token")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says: whose it is, and what it is good for."""

    name: str
    rights: tuple[Right, ...]


class _Access(msgspec.Struct):
    type: str
    name: str
    actions: list[str]


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    sub: str
    exp: int
    nbf: int
    iat: int
    jti: str
    access: list[_Access]


class Tokens:
    """Sign and check the tokens of one registry, called *service*."""

    def __init__(self, key: bytes, service: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key, self.service, self._clock = key, service, clock

    def sign(self, name: str, rights: Sequence[Right]) -> str:
        """A token that says *name* may do what *rights* say."""
        now = int(self._clock())
        access = [_Access("repository", r.pattern, sorted(r.actions)) for r in rights if r.actions]
        claims = _Claims(
            iss=self.service,
            aud=self.service,
            sub=name,
            exp=now + LIFETIME,
            nbf=now,
            iat=now,
            jti=secrets.token_hex(8),
            access=access,
        )
        head, body = _armour(msgspec.json.encode(_HEADER)), _armour(msgspec.json.encode(claims))
        return f"{head}.{body}.{_armour(self._signature(f'{head}.{body}'))}"

    def check(self, token: str) -> Grant:
        """What the token says; InvalidToken."""
        claims = self._claims(token)
        now = self._clock()
        good = claims.iss == claims.aud == self.service and claims.nbf <= now < claims.exp
        if not good or claims.exp - claims.iat > LIFETIME:
            raise InvalidToken
        rights = (
            Right(frozenset(each.actions), each.name)
            for each in claims.access
            if each.type == "repository"
        )
        return Grant(claims.sub, tuple(rights))

    def _claims(self, token: str) -> _Claims:
        parts = token.split(".")
        if len(token) > _MOST or len(parts) != 3 or not token.isascii():
            raise InvalidToken
        head, body, signature = parts
        try:
            good = hmac.compare_digest(_bare(signature), self._signature(f"{head}.{body}"))
            if not good or msgspec.json.decode(_bare(head)) != _HEADER:
                raise InvalidToken
            return msgspec.json.decode(_bare(body), type=_Claims)
        except (ValueError, msgspec.MsgspecError):
            raise InvalidToken from None

    def _signature(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("ascii"), hashlib.sha256)


def key_at(path: Path) -> bytes:
    """The key in *path*, made where there is none."""
    if not path.exists():
        write_durably(path, secrets.token_bytes(_KEY_BYTES))
    return path.read_bytes()


def _armour(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bare(text: str) -> bytes:
    """One reading for one text: padding, other alphabets and loose bits are refused."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _armour(raw) != text:
        raise ValueError("not base64url")
    return raw
