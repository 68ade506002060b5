"""Mounts as values, and the one place that performs them.

The mount API of file descriptors (fsopen(2), fsconfig(2), fsmount(2), move_mount(2)) takes
any number of layers and says what went wrong; mount(2) is for kernels without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lading.errors import Unavailable

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432  # on every architecture
_CLOEXEC = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_MOVE_EMPTY_PATH = 0x4
_AT_FDCWD = -100

_RDONLY, _NOSUID, _NODEV, _NOEXEC = 0x1, 0x2, 0x4, 0x8
_REMOUNT, _BIND, _REC, _PRIVATE = 0x20, 0x1000, 0x4000, 1 << 18
_DETACH, _NOFOLLOW = 0x2, 0x8
_FLAGS = {"ro": _RDONLY, "nosuid": _NOSUID, "nodev": _NODEV, "noexec": _NOEXEC}
_BINDS = {"bind": _BIND, "rbind": _BIND | _REC}
_MOST_OPTIONS = 4095  # a page, with its last zero


class MountFailed(Unavailable):
    """Raised where the kernel refuses a mount; *code* is the errno."""

    def __init__(self, mount: Mount, target: Path, code: int, said: str = "") -> None:
        why = said or os.strerror(code)
        super().__init__(f"cannot mount {mount.type} on {target}: {why}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Mount:
    """What to mount; where is the performer's business.

    *options* are the kernel's own words: ``ro``, ``nosuid``, ``bind`` and the like, and a file
    system's own.  An overlay's layers are ``lowerdir+=PATH`` each, the top one first.
    """

    type: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One line of /proc/self/mountinfo: proc(5)."""

    target: Path
    type: str
    source: str


def perform(mounts: Sequence[Mount], target: Path) -> None:
    """Mount them one over the other on *target*; MountFailed, with none of them left."""
    done = 0
    try:
        for mount in mounts:
            _perform(mount, target)
            done += 1
    except BaseException:
        for _ in range(done):
            unmount(target, lazy=True)
        raise


def bind(source: Path, target: Path, *, read_only: bool = False, recursive: bool = False) -> None:
    """Show *source* at *target* as well."""
    words = ("rbind" if recursive else "bind", *(("ro",) if read_only else ()))
    _perform(Mount("bind", str(source), words), target)


def make_private(target: Path) -> None:
    """Keep what is mounted below *target* from appearing elsewhere, and the reverse."""
    _mount(Mount("none", "none"), target, _PRIVATE | _REC, "")


def unmount(target: Path, *, lazy: bool = False) -> None:
    """Take the topmost mount off *target*; nothing when there is none."""
    flags = _NOFOLLOW | (_DETACH if lazy else 0)
    if _LIBC.umount2(os.fsencode(target), flags) != 0:
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOENT):
            raise OSError(code, os.strerror(code), str(target))


def unmount_below(target: Path) -> None:
    """Take off everything mounted on or below *target*, the latest first."""
    inside = str(target) + "/"
    found = [e.target for e in table() if e.target == target or str(e.target).startswith(inside)]
    for place in reversed(found):
        with contextlib.suppress(FileNotFoundError):
            unmount(place, lazy=True)


def is_mount(target: Path) -> bool:
    """Whether something is mounted on exactly *target* (an absolute path without links)."""
    return any(entry.target == target for entry in table())


def table() -> list[MountEntry]:
    """All mounts of this namespace, in the order of mounting."""
    return list(_entries(Path("/proc/self/mountinfo").read_bytes()))


def _entries(content: bytes) -> Iterator[MountEntry]:
    for line in content.splitlines():
        before, _, after = line.partition(b" - ")
        kind, source = after.split(b" ")[:2]
        yield MountEntry(Path(_unescaped(before.split(b" ")[4])), kind.decode(), _unescaped(source))


def _unescaped(text: bytes) -> str:
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n")):
        text = text.replace(code, character)
    return os.fsdecode(text.replace(b"\\134", b"\\"))


def _perform(mount: Mount, target: Path) -> None:
    if mount.type == "bind":
        _bind(mount, target)
        return
    try:
        _configured(mount, target)
    except MountFailed as error:
        if error.code not in (errno.ENOSYS, errno.EINVAL):
            raise
        _classic(mount, target, error)


def _bind(mount: Mount, target: Path) -> None:
    flags = 0
    for word in mount.options:
        flags |= _BINDS.get(word, 0)
    _mount(mount, target, flags, "")
    attributes = sum(_FLAGS.get(word, 0) for word in mount.options)
    if attributes:
        _mount(mount, target, _REMOUNT | _BIND | attributes, "")


def _configured(mount: Mount, target: Path) -> None:
    context = _LIBC.syscall(_FSOPEN, mount.type.encode(), _CLOEXEC)
    if context < 0:
        raise MountFailed(mount, target, ctypes.get_errno())
    try:
        _configure(mount, target, context)
        attributes = sum(_FLAGS.get(word, 0) for word in mount.options)
        made = _LIBC.syscall(_FSMOUNT, context, _CLOEXEC, attributes)
        if made < 0:
            raise _failure(mount, target, context)
    finally:
        os.close(context)
    try:
        where = os.fsencode(target)
        if _LIBC.syscall(_MOVE_MOUNT, made, b"", _AT_FDCWD, where, _MOVE_EMPTY_PATH) != 0:
            raise MountFailed(mount, target, ctypes.get_errno())
    finally:
        os.close(made)


def _configure(mount: Mount, target: Path, context: int) -> None:
    settings = [("source", mount.source)] if mount.source else []
    for option in mount.options:
        if option == "ro" or option not in _FLAGS:
            key, _, value = option.partition("=")
            settings.append((key, value))
    for key, value in settings:
        command = _SET_STRING if value else _SET_FLAG
        text = os.fsencode(value) if value else None
        if _LIBC.syscall(_FSCONFIG, context, command, key.encode(), text, 0) != 0:
            raise _failure(mount, target, context)
    if _LIBC.syscall(_FSCONFIG, context, _CREATE, None, None, 0) != 0:
        raise _failure(mount, target, context)


def _failure(mount: Mount, target: Path, context: int) -> MountFailed:
    """The error with what the kernel has to say about it, which it keeps in the context."""
    code = ctypes.get_errno()
    said = []
    with contextlib.suppress(OSError):
        while message := os.read(context, 4096):
            said.append(message[2:].decode(errors="replace").strip())
    return MountFailed(mount, target, code, "; ".join([*said, os.strerror(code)]))


def _classic(mount: Mount, target: Path, first: MountFailed) -> None:
    """By mount(2), whose options share a page; *first* is what the newer way said."""
    flags = sum(_FLAGS.get(word, 0) for word in mount.options)
    words = [word for word in mount.options if word not in _FLAGS]
    prefix = "lowerdir+="
    lowers = [_escaped(w.removeprefix(prefix)) for w in words if w.startswith(prefix)]
    words = [word for word in words if not word.startswith(prefix)]
    if lowers:
        words.insert(0, "lowerdir=" + ":".join(lowers))
    options = ",".join(words)
    if len(os.fsencode(options)) > _MOST_OPTIONS:
        raise MountFailed(
            mount, target, errno.E2BIG, "more layers than a kernel before 6.5 can be told"
        )
    try:
        _mount(mount, target, flags, options)
    except MountFailed:
        raise first from None


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _mount(mount: Mount, target: Path, flags: int, options: str) -> None:
    result = _LIBC.mount(
        os.fsencode(mount.source),
        os.fsencode(target),
        mount.type.encode(),
        ctypes.c_ulong(flags),
        os.fsencode(options) or None,
    )
    if result != 0:
        raise MountFailed(mount, target, ctypes.get_errno())
