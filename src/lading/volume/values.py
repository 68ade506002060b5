"""What the volume package speaks of, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ANONYMOUS = "com.docker.volume.anonymous"  # the label Docker gives to volumes nobody named


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives containers; *path* is its ``_data``."""

    name: str
    path: Path
    created: str  # RFC 3339, UTC
    driver: str = "local"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One thing to mount in a container, however it was asked for.

    *kind* is ``volume``, ``bind`` or ``tmpfs``.  *source* is a bind's path on the host,
    *name* a volume's name (None: anonymous, to be named at create).  *mode* is what
    the user wrote after the destination (``MountPoint.Mode`` in inspect).
    """

    kind: str
    destination: str
    source: str = ""
    name: str | None = None
    read_only: bool = False
    mode: str = ""
    propagation: str = ""  # "", private, rprivate, shared, rshared, slave, rslave
    recursive: bool = True
    recursive_read_only: bool | None = None  # None: where the kernel can; True: or refuse
    create_source: bool = False  # -v makes a missing directory; --mount refuses
    no_copy: bool = False
    subpath: str = ""
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tmpfs_options: tuple[str, ...] = ()  # the kernel's own words: size=64m, mode=1777, noexec
