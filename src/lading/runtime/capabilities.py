"""Which capabilities a container's processes may have.

Inheritable and ambient sets stay empty, always (HOSTILE 62): they would hand privileges to
files that a user other than root executes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lading.errors import Invalid

# By number, from linux/capability.h.
_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DEFAULT = """
CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
MKNOD AUDIT_WRITE SETFCAP
"""
ALL = tuple(f"CAP_{name}" for name in _NAMES.split())
DEFAULT = tuple(f"CAP_{name}" for name in _DEFAULT.split())
_STATUS = Path("/proc/self/status")


class UnknownCapability(Invalid):
    """Raised for a name that is no capability, or none that this host can give."""

    def __init__(self, option: str, name: str, reason: str) -> None:
        super().__init__(f"invalid {option}: {reason}: {name!r}")
        self.name = name


def available() -> frozenset[str]:
    """What this process may hand on: the most that any container of its can have."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(ALL) if mask >> bit & 1)
    return frozenset()


def chosen(
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    *,
    privileged: bool = False,
    available: frozenset[str] = frozenset(ALL),
) -> tuple[str, ...]:
    """The container's capabilities by Docker's rules for --cap-add, --cap-drop and --privileged.

    Names may lack their CAP_ and be written in any case; ALL stands for every one.
    UnknownCapability names what cannot be given.
    """
    added, dropped = _names("CapAdd", add), _names("CapDrop", drop)
    for name in added - {"ALL"} - available:
        raise UnknownCapability(
            "CapAdd", name, "capability not supported by your kernel or not available here"
        )
    if privileged:
        return _ordered(available)
    if "ALL" in added:
        return _ordered(available - dropped)
    if "ALL" in dropped:
        return _ordered(added)
    return _ordered((frozenset(DEFAULT) & available) - dropped | added)


def _names(option: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(_parse(option, name) for name in names)


def _parse(option: str, text: str) -> str:
    name = text.strip().upper()
    if name == "ALL":
        return name
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in ALL:
        raise UnknownCapability(option, text, "unknown capability")
    return name


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=ALL.index))
