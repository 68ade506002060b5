"""Device nodes in a container, and the rules that say which it may use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lading.errors import Invalid

Json = dict[str, Any]


class NotADevice(Invalid):
    """Raised for a host path that is no device node."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f'error gathering device information while adding custom device "{path}": {reason}'
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """One line of the device controller; None stands for every number."""

    allow: bool
    type: str  # a: all, b: block, c: character
    major: int | None
    minor: int | None
    access: str  # of r, w, m

    def document(self) -> Json:
        rule: Json = {"allow": self.allow, "access": self.access}
        if self.type != "a":
            rule["type"] = self.type
        if self.major is not None:
            rule["major"] = self.major
        if self.minor is not None:
            rule["minor"] = self.minor
        return rule


@dataclass(frozen=True, slots=True)
class Device:
    """A node to make in the container, and what may be done with it."""

    path: str
    type: str  # b or c
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"

    def document(self) -> Json:
        return {
            "path": self.path,
            "type": self.type,
            "major": self.major,
            "minor": self.minor,
            "fileMode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }

    def rule(self) -> DeviceRule:
        return DeviceRule(True, self.type, self.major, self.minor, self.access)


def _char(major: int, minor: int | None) -> DeviceRule:
    return DeviceRule(True, "c", major, minor, "rwm")


ALLOW_ALL = DeviceRule(True, "a", None, None, "rwm")
DEFAULT_RULES = (
    DeviceRule(False, "a", None, None, "rwm"),
    DeviceRule(True, "c", None, None, "m"),
    DeviceRule(True, "b", None, None, "m"),
    _char(1, 3),  # null
    _char(1, 5),  # zero
    _char(1, 7),  # full
    _char(1, 8),  # random
    _char(1, 9),  # urandom
    _char(5, 0),  # tty
    _char(5, 2),  # ptmx
    _char(136, None),  # pts
)


def from_host(path: str, container_path: str, access: str = "rwm") -> list[Device]:
    """The node at *path*, or those beneath it, as *container_path*; NotADevice when none is."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise NotADevice(path, (error.strerror or "").lower()) from None
    if stat.S_ISDIR(mode):
        return list(_beneath(Path(path), container_path, access))
    device = _node(path, container_path, access)
    if device is None:
        raise NotADevice(path, "not a device node")
    return [device]


def of_host() -> list[Device]:
    """Every device node of the host's /dev, for privileged containers."""
    return list(_beneath(Path("/dev"), "/dev", "rwm"))


# What a container has of its own, or what is not a device of the machine.
_NOT_OF_HOST = {"pts", "shm", "mqueue", "fd", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"}


def _beneath(directory: Path, container_path: str, access: str) -> Iterator[Device]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in _NOT_OF_HOST or entry.is_symlink():
            continue
        inside = f"{container_path}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _beneath(Path(entry.path), inside, access)
        elif device := _node(entry.path, inside, access):
            yield device


def _node(path: str, container_path: str, access: str) -> Device | None:
    found = Path(path).stat()
    if stat.S_ISBLK(found.st_mode):
        kind = "b"
    elif stat.S_ISCHR(found.st_mode):
        kind = "c"
    else:
        return None
    return Device(
        container_path,
        kind,
        os.major(found.st_rdev),
        os.minor(found.st_rdev),
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        access,
    )
