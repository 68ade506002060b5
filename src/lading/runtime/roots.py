"""Make a root file system fit to start a process in, trusting nothing in it.

An image may plant links where the runtime mounts things.  What the runtime would follow is
checked here first, and directories and files to mount on are made inside the root only
(HOSTILE 53, 55, 56).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterable
from pathlib import Path

from lading.errors import Invalid
from lading.linux.paths import open_beneath, open_in_root
from lading.runtime.mounts import MountPoint
from lading.runtime.spec import SpecRequest, asked_mounts

# The runtime mounts file systems here before anything else, by path.
_KERNEL = ("dev", "proc", "sys")
_MOST_LINKS = 40


class HostileRoot(Invalid):
    """Raised for a root that would mislead the runtime."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"refused to use the root file system: {path} {reason}")
        self.path = path


class BadWorkingDirectory(Invalid):
    """Raised for a working directory that is none, or that leads to the host."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"invalid working directory {path!r}: {reason}")


class MismatchedMount(Invalid):
    """Raised where a directory is to cover a file, or a file a directory, in Docker's words."""

    def __init__(self, point: MountPoint) -> None:
        super().__init__(
            f"cannot mount {point.source} at {point.destination}: Are you trying to mount a"
            " directory onto a file (or vice-versa)? Check if the specified host path exists"
            " and is the expected type"
        )


def _normal(path: str) -> str:
    """*path* from the root; two slashes at the front, which POSIX keeps, are one."""
    return posixpath.normpath("/" + path.lstrip("/"))


def open_root(path: Path | str) -> int:
    """A descriptor of the root directory for the functions here; the caller closes it."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def prepare(request: SpecRequest) -> None:
    """Check the request's root, and make its mount points and working directory there.

    HostileRoot, BadWorkingDirectory; MismatchedMount where a mount point is of the wrong kind.
    """
    root_fd = open_root(request.rootfs)
    try:
        check(root_fd)
        make_targets(root_fd, asked_mounts(request))
        ensure_working_directory(root_fd, request.process.cwd)
    finally:
        os.close(root_fd)


def check(root_fd: int) -> None:
    """HostileRoot unless /dev, /proc and /sys are real directories, or absent."""
    for name in _KERNEL:
        try:
            found = os.stat(name, dir_fd=root_fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise HostileRoot(f"/{name}", "is not a directory")


def make_targets(root_fd: int, mounts: Iterable[MountPoint]) -> None:
    """Make what each of *mounts* is mounted on: a file for a file, a directory otherwise.

    Those below another mount are left to the runtime: they do not lie in this root.
    """
    points = list(mounts)
    covered = ["/dev", "/proc", "/sys", *(p.destination.rstrip("/") for p in points)]
    for point in points:
        destination = _normal(point.destination)
        if not any(destination.startswith(f"{other}/") for other in covered):
            _check_target(root_fd, _target(root_fd, point, destination))


def _target(root_fd: int, point: MountPoint, destination: str) -> int:
    """Open what *point* is mounted on, made if need be; an O_PATH descriptor.

    A runtime gives a tmpfs the mode of the directory that it covers: one that is made for
    it has the mode that was asked for, or the one that a tmpfs has of itself.
    """
    directory = not _is_file(point)
    try:
        found = _open_existing(root_fd, destination, directory=directory)
        target = ensure(root_fd, destination, directory=directory) if found is None else found
    except (NotADirectoryError, IsADirectoryError):
        raise MismatchedMount(point) from None
    if found is not None:
        return target
    if point.type == "tmpfs":
        asked = [option[5:] for option in point.options if option.startswith("mode=")]
        Path(f"/proc/self/fd/{target}").chmod(int(asked[-1], 8) if asked else 0o1777)
    return target


def _check_target(root_fd: int, target: int) -> None:
    """Close *target*; HostileRoot when links led it to where the runtime mounts its own."""
    try:
        root, path = (Path(f"/proc/self/fd/{fd}").readlink() for fd in (root_fd, target))
    finally:
        os.close(target)
    inside = path.relative_to(root)
    if inside.parts[:1] and inside.parts[0] in _KERNEL:
        raise HostileRoot(f"/{inside}", "is where a link leads to that is mounted on")


def _is_file(point: MountPoint) -> bool:
    return point.type == "bind" and not Path(point.source).is_dir()


def ensure_working_directory(root_fd: int, path: str) -> None:
    """Make the working directory where it is missing, as Docker does; BadWorkingDirectory."""
    if not path.startswith("/"):
        raise BadWorkingDirectory(path, "it must be an absolute path")
    if _is_kernel_made(_normal(path)):
        return _check_kernel_made(path)
    try:
        os.close(ensure(root_fd, path, directory=True))
    except HostileRoot as error:
        raise BadWorkingDirectory(path, str(error)) from None
    except NotADirectoryError:
        raise BadWorkingDirectory(path, "not a directory") from None
    return None


def check_working_directory(root_fd: int, path: str) -> None:
    """For a process in a live container: BadWorkingDirectory where *path* leads out of it.

    One that is merely missing is left for the runtime to complain of.
    """
    if not path.startswith("/"):
        raise BadWorkingDirectory(path, "it must be an absolute path")
    if _is_kernel_made(_normal(path)):
        _check_kernel_made(path)
    if _leads_into_a_process(root_fd, _normal(path)):
        raise BadWorkingDirectory(path, "it leads through a link of /proc")


def _leads_into_a_process(root_fd: int, path: str) -> bool:
    """Whether *path* ends in what /proc tells of the process that looks there."""
    for _ in range(_MOST_LINKS):
        try:
            os.close(open_in_root(root_fd, os.fsencode(path), os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            onward = _link_to_nothing(root_fd, path)
        except OSError as error:
            return error.errno == errno.ELOOP
        else:
            return False
        if onward is None:
            return False
        if _is_kernel_made(onward):
            return True
        path = onward
    return True


def _is_kernel_made(path: str) -> bool:
    return path == "/proc" or path.startswith("/proc/")


def _check_kernel_made(path: str) -> None:
    """In /proc only what belongs to no process is fit: the rest may lead to the host's files."""
    first = _normal(path).removeprefix("/proc").lstrip("/").partition("/")[0]
    if first in ("self", "thread-self") or first.isdigit():
        raise BadWorkingDirectory(path, "it is a process's own directory")


def ensure(root_fd: int, path: str, *, directory: bool) -> int:
    """Open *path* in the root, made if need be (0755, owned by root); an O_PATH descriptor.

    Links are followed inside the root, also those that lead to nothing yet, except into
    what the runtime mounts over (HostileRoot).  NotADirectoryError or IsADirectoryError where
    something of the other kind is there.
    """
    wanted = _normal(path)
    for _ in range(_MOST_LINKS):
        found = _open_existing(root_fd, wanted, directory=directory)
        if found is not None:
            return found
        onward = _make_first_missing(root_fd, wanted, directory=directory)
        wanted = onward or wanted
    raise HostileRoot(path, "leads through too many links")


def _open_existing(root_fd: int, path: str, *, directory: bool) -> int | None:
    flags = os.O_PATH | (os.O_DIRECTORY if directory else 0)
    try:
        fd = open_in_root(root_fd, os.fsencode(path), flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise HostileRoot(path, "leads through too many links") from None
    if not directory and stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return fd


def _make_first_missing(root_fd: int, path: str, *, directory: bool) -> str | None:
    """Make the first part of *path* that is missing; where that is a link, the path it means."""
    parts = path.strip("/").split("/")
    parent, depth = _deepest(root_fd, parts)
    try:
        if _made(parent, parts[depth], directory=directory or depth < len(parts) - 1):
            return None
        onward = _followed(parent, parts, depth)
    finally:
        os.close(parent)
    if onward.split("/")[1] in _KERNEL:
        raise HostileRoot("/" + "/".join(parts[: depth + 1]), f"is a link into {onward}")
    return onward


def _link_to_nothing(root_fd: int, path: str) -> str | None:
    """What *path*, which is missing, means by a link on its way; None where there is none."""
    parts = path.strip("/").split("/")
    parent, depth = _deepest(root_fd, parts)
    try:
        return _followed(parent, parts, depth)
    except OSError:
        return None
    finally:
        os.close(parent)


def _deepest(root_fd: int, parts: list[str]) -> tuple[int, int]:
    """The longest way along *parts*, without the last, that exists; and how many they are."""
    flags = os.O_PATH | os.O_DIRECTORY
    parent = open_in_root(root_fd, b"/", flags)
    for depth in range(1, len(parts)):
        try:
            deeper = open_in_root(root_fd, os.fsencode("/".join(parts[:depth])), flags)
        except FileNotFoundError:
            return parent, depth - 1
        except OSError:
            os.close(parent)
            raise
        os.close(parent)
        parent = deeper
    return parent, len(parts) - 1


def _made(parent: int, name: str, *, directory: bool) -> bool:
    """Make *name*, neither following nor replacing anything; False where a link has the name."""
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
            os.close(open_beneath(parent, os.fsencode(name), flags, 0o644, symlinks=False))
    except FileExistsError:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        return not stat.S_ISLNK(found.st_mode)
    return True


def _followed(parent: int, parts: list[str], depth: int) -> str:
    """The path that *parts* stand for when the one at *depth*, in *parent*, is a link."""
    target = os.readlink(parts[depth], dir_fd=parent)
    return _normal(posixpath.join("/", *parts[:depth], target, *parts[depth + 1 :]))
