"""Mounts as values, and the one place that performs them.

The mount API of file descriptors (fsopen(2), fsconfig(2), fsmount(2), move_mount(2)) takes
any number of layers and says what went wrong; mount(2) is for kernels that do not know it or
overlayfs's `lowerdir+` (before 6.8).  Paths that are too long for either are named by way of
descriptors.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
_MOST_VALUE = 255  # of one fsconfig(2) string, with its last zero
_LOWER = "lowerdir+="
_UNESCAPED_KEYS = ("lowerdir+", "source", "device")
_OCTAL = re.compile(rb"\\([0-7]{3})")


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
    options: str = ""  # the file system's own


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


def make_read_only(target: Path) -> None:
    """Forbid writing through the mount whose top directory *target* is."""
    _mount(Mount("none", "none"), target, _REMOUNT | _BIND | _RDONLY, "")


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
        target = Path(_unescaped(before.split(b" ")[4]))
        kind, source, options = after.split(b" ")[:3]
        yield MountEntry(target, kind.decode(), _unescaped(source), _unescaped(options))


def _unescaped(text: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), text))


def _perform(mount: Mount, target: Path) -> None:
    if mount.type == "bind":
        _bind(mount, target)
        return
    with ExitStack() as held:
        try:
            _configured(_shortened(mount, _MOST_VALUE, held), target)
        except MountFailed as error:
            if error.code not in (errno.ENOSYS, errno.EINVAL):
                raise
            _classic(mount, target, held, error)


def _bind(mount: Mount, target: Path) -> None:
    flags = 0
    for word in mount.options:
        flags |= _BINDS.get(word, 0)
    _mount(mount, target, flags, "")
    attributes = _attributes(mount)
    if not attributes:
        return
    try:
        _mount(mount, target, _REMOUNT | _BIND | attributes, "")
    except MountFailed:
        unmount(target, lazy=True)
        raise


def _attributes(mount: Mount) -> int:
    return sum(_FLAGS.get(word, 0) for word in mount.options)


def _configured(mount: Mount, target: Path) -> None:
    context = _LIBC.syscall(_FSOPEN, mount.type.encode(), _CLOEXEC)
    if context < 0:
        raise MountFailed(mount, target, ctypes.get_errno())
    try:
        _configure(mount, target, context)
        made = _LIBC.syscall(_FSMOUNT, context, _CLOEXEC, _attributes(mount))
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
            settings.append((key, value if key in _UNESCAPED_KEYS else _backslashed(value)))
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


def _classic(mount: Mount, target: Path, held: ExitStack, first: MountFailed) -> None:
    """By mount(2), whose options share a page; *first* is what the newer way said."""
    options = _joined(mount)
    if len(os.fsencode(options)) > _MOST_OPTIONS:
        mount = _shortened(mount, 0, held)
        options = _joined(mount)
    if len(os.fsencode(options)) > _MOST_OPTIONS:
        raise MountFailed(
            mount, target, errno.E2BIG, "more layers than a kernel before 6.8 can be told"
        )
    try:
        _mount(mount, target, _attributes(mount), options)
    except MountFailed:
        raise first from None


def _joined(mount: Mount) -> str:
    """The options as mount(2) takes them, all layers in one."""
    words = [word for word in mount.options if word not in _FLAGS]
    lowers = [word.removeprefix(_LOWER) for word in words if word.startswith(_LOWER)]
    options = [_escaped(word) for word in words if not word.startswith(_LOWER)]
    if lowers:
        layers = (_escaped(lower).replace(":", "\\:") for lower in lowers)
        options.insert(0, "lowerdir=" + ":".join(layers))
    return ",".join(options)


def _shortened(mount: Mount, most: int, held: ExitStack) -> Mount:
    """The same mount, its paths of more than *most* bytes as descriptors that *held* closes."""

    def short(path: str) -> str:
        if not path.startswith("/") or len(os.fsencode(path)) <= most:
            return path
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return path  # the kernel says it better
        held.callback(os.close, descriptor)
        return f"/proc/self/fd/{descriptor}"

    options = []
    for option in mount.options:
        key, equals, value = option.partition("=")
        options.append(key + equals + short(value))
    return Mount(mount.type, short(mount.source), tuple(options))


def _backslashed(path: str) -> str:
    return path.replace("\\", "\\\\")


def _escaped(path: str) -> str:
    return _backslashed(path).replace(",", "\\,")


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
