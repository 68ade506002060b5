"""A volume's name, checked before it touches a path."""

from __future__ import annotations

import re
import secrets

from lading.errors import Invalid

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LONGEST = 255  # what a directory's name may measure


class InvalidVolumeName(Invalid):
    """Raised for a name that no volume can have."""


def check_name(name: str) -> str:
    """*name*, when a volume may have it; InvalidVolumeName in Docker's words otherwise."""
    if len(name) == 1:
        raise InvalidVolumeName(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidVolumeName(
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
    if len(name) > _LONGEST:
        raise InvalidVolumeName(f"create {name[:20]}...: volume name is too long")
    return name


def random_name() -> str:
    """A name for a volume that nobody named: 64 hex digits."""
    return secrets.token_hex(32)
