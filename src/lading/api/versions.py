"""Which version of the Engine API a request speaks.

A path may begin with ``/v1.41``; without it the newest version is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.errors import Invalid

_PREFIX = re.compile(r"/v([0-9]+)\.([0-9]+)(?=/|$)")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """``major.minor`` of the Engine API."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = Version(1, 24)
NEWEST = Version(1, 50)


class WrongVersion(Invalid):
    """Raised for a version that this server does not speak, in Docker's words."""


def split(path: str) -> tuple[Version, str]:
    """Take the version off *path*: the version meant, and the rest; WrongVersion."""
    found = _PREFIX.match(path)
    if not found:
        return NEWEST, path
    if max(len(found[1]), len(found[2])) > 4:
        raise WrongVersion("invalid API version in the path")
    version = Version(int(found[1]), int(found[2]))
    if version > NEWEST:
        raise WrongVersion(
            f"client version {version} is too new. Maximum supported API version is {NEWEST}"
        )
    if version < OLDEST:
        raise WrongVersion(
            f"client version {version} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return version, path[found.end() :]
