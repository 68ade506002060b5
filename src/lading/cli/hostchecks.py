"""What this host must have for an engine: each check says what it found, and how to mend it.

Most is found out by trying it, away from whatever runs here: nothing of a trial is left,
and nothing of the host's settings is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.errors import LadingError
from lading.linux.cgroups import UNIFIED, Hierarchies, Layout, NoCgroups
from lading.settings import Settings

GOOD, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"
_OLDEST_KERNEL = (5, 6)  # openat2; pidfds came with 5.3, the mount API with 5.2
_LITTLE, _TIGHT = 2 * 1024**3, 200 * 1024**2
_FEW_INODES = 10_000
_CONTROLLERS = ("memory", "cpu", "cpuset", "pids")
_FILES = 8_192  # descriptors that a busy engine may want
_SWAP = (
    "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX swapaccount=1\"' >>/etc/default/grub"
    " && update-grub && reboot"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; a *remedy* is a command to type."""

    name: str
    state: str
    detail: str
    remedy: str = ""


def kernel(release: str = "") -> Finding:
    """Whether the kernel has the system calls that everything rests on."""
    release = release or os.uname().release
    match = re.match(r"(\d+)\.(\d+)", release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < _OLDEST_KERNEL:
        wanted = ".".join(map(str, _OLDEST_KERNEL))
        return Finding(
            "kernel", PROBLEM, f"{release}: {wanted} or newer is needed",
            "apt-get install linux-image-amd64 && reboot",
        )  # fmt: skip
    return Finding("kernel", GOOD, release)


def privilege(uid: int | None = None) -> Finding:
    """Whether this user may do what an engine does."""
    if (os.geteuid() if uid is None else uid) != 0:
        return Finding("root", PROBLEM, "this user is not root", "sudo lading doctor")
    return Finding("root", GOOD, "this user is root")


def storage(root: Path) -> Iterator[Finding]:
    """Which snapshotters work where the root lies, found out by mounting."""
    from lading.snapshot.choose import probe

    with _place(root) as place:
        failures = probe(place)
    for name in ("overlay", "erofs"):
        why = failures[name]
        if why:
            module = "overlay" if name == "overlay" else "erofs"
            yield Finding(name, WARNING, f"{why}; slower ways are used", f"modprobe {module}")
        else:
            yield Finding(name, GOOD, f"it can be mounted on {_existing(root)}")


def space(root: Path) -> Finding:
    """Whether there is room for images."""
    place = _existing(root)
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    shown = f"{free / 1e9:.1f} GB free on {place}"
    if found.f_files and found.f_favail < _FEW_INODES:
        return Finding("space", WARNING, f"only {found.f_favail} inodes free on {place}", _PRUNE)
    if free < _LITTLE:
        return Finding("space", PROBLEM if free < _TIGHT else WARNING, f"only {shown}", _PRUNE)
    return Finding("space", GOOD, shown)


_PRUNE = "lading system prune -a"


def cgroups(read: Callable[[], Hierarchies] = Hierarchies.read) -> Iterator[Finding]:
    """How control groups are arranged, and which controllers there are."""
    try:
        found = read()
    except NoCgroups as error:
        remedy = "mount -t cgroup2 none /sys/fs/cgroup"
        yield Finding("cgroups", PROBLEM, str(error), remedy)
        return
    names = {Layout.UNIFIED: "v2", Layout.V1: "v1", Layout.HYBRID: "v1, with v2 beside it"}
    there = controllers(found)
    yield Finding("cgroups", GOOD, f"{names[found.layout]}: {' '.join(sorted(there))}")
    for name in _CONTROLLERS:
        if name not in there:
            detail = f"the controller {name} is missing: its limits cannot be set"
            yield Finding(f"cgroup {name}", WARNING, detail, _enabling(found, name))
    if "memory" in there and not found.has_swap_accounting():
        yield Finding(
            "swap limits", NOTE, "swap is not counted: --memory-swap has no effect", _SWAP
        )


def controllers(found: Hierarchies) -> set[str]:
    """The controllers of every hierarchy, or those that v2 has."""
    if found.layout is not Layout.UNIFIED:
        return {name for name in found.roots if name != UNIFIED and not name.startswith("name=")}
    return set((found.roots[UNIFIED] / "cgroup.controllers").read_text().split())


def _enabling(found: Hierarchies, name: str) -> str:
    if found.layout is Layout.UNIFIED:
        return f"echo +{name} >{found.roots[UNIFIED]}/cgroup.subtree_control"
    place = f"/sys/fs/cgroup/{name}"
    return f"mkdir -p {place} && mount -t cgroup -o {name} none {place}"


def runtime() -> Finding:
    """Whether runc or crun makes containers here, found out by making one."""
    from lading.runtime import oci

    with tempfile.TemporaryDirectory(prefix="lading-doctor-") as place:
        settings = Settings(root=Path(place), run_root=Path(place) / "run")
        try:
            chosen = oci.choose(settings)
        except LadingError as error:
            return Finding("runtime", PROBLEM, str(error), "apt-get install runc")
        finally:
            _remove_groups(f"/lading-{settings.instance}")
    return Finding("runtime", GOOD, f"{chosen.name} {chosen.version} makes containers")


def _remove_groups(path: str) -> None:
    try:
        Hierarchies.read().group(path).remove_empty()
    except NoCgroups:
        pass  # another finding tells of that


def monitor(path: str = "") -> Finding:
    """Whether conmon is there, and runs."""
    from lading.runtime.conmon import CONMON

    program = path or CONMON
    version = _first_line([program, "--version"])
    if version is None:
        return Finding("conmon", PROBLEM, f"{program} does not run", "apt-get install conmon")
    return Finding("conmon", GOOD, version.removeprefix("conmon version "))


def forwarding(path: Path = Path("/proc/sys/net/ipv4/ip_forward")) -> Finding:
    """Whether packets may pass through this host, or can be let through."""
    try:
        on = path.read_text().strip() == "1"
    except OSError as error:
        return Finding("ip_forward", PROBLEM, f"no IPv4 here: {error.strerror}", "")
    if on:
        return Finding("ip_forward", GOOD, "packets are forwarded")
    if os.access(path, os.W_OK):
        return Finding("ip_forward", GOOD, "off; the engine turns it on when it starts")
    remedy = "sysctl -w net.ipv4.ip_forward=1"
    return Finding("ip_forward", WARNING, "off, and it cannot be turned on from here", remedy)


def conveniences() -> Iterator[Finding]:
    """What single commands need."""
    yield _program("busybox", "lading image bootstrap busybox", "busybox-static", _has_busybox)
    yield _program("mmdebstrap", "lading image bootstrap debian", "mmdebstrap",
                   lambda: shutil.which("mmdebstrap") is not None)  # fmt: skip
    yield _program("init", "lading run --init", "tini", _has_init)
    yield _program("ps", "lading top", "procps", lambda: shutil.which("ps") is not None)
    yield _program("ssh", "lading migrate", "openssh-client",
                   lambda: shutil.which("ssh") is not None)  # fmt: skip


def _program(name: str, what: str, package: str, there: Callable[[], bool]) -> Finding:
    if there():
        return Finding(name, GOOD, f"'{what}' works")
    return Finding(name, NOTE, f"'{what}' does not work", f"apt-get install {package}")


def _has_busybox() -> bool:
    from lading.image.busybox import Busybox

    try:
        return bool(Busybox.of_host().applets)
    except (LadingError, OSError, subprocess.SubprocessError):
        return False


def _has_init() -> bool:
    from lading.runtime import inits

    try:
        return bool(inits.find())
    except LadingError:
        return False


def descriptors() -> Finding:
    """Whether an engine may have enough files open."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _FILES:
        detail = f"at most {most}: hundreds of containers may need more"
        return Finding("open files", NOTE, detail, f"ulimit -Hn {_FILES}")
    return Finding("open files", GOOD, "unlimited" if most < 0 else str(most))


def _existing(path: Path) -> Path:
    """*path*, or what is nearest above it."""
    return next((place for place in (path, *path.parents) if place.is_dir()), Path("/"))


@contextmanager
def _place(root: Path) -> Iterator[Path]:
    """A directory on the file system that *root* is or will be on; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".lading-doctor-", dir=_existing(root)) as place:
        yield Path(place)


def _first_line(command: list[str]) -> str | None:
    """The first line that a program prints; None when it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip()


def guarded(name: str, check: Callable[[], Finding | Iterable[Finding]]) -> Iterator[Finding]:
    """What *check* finds; a check that breaks is a finding too."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except (LadingError, OSError) as error:
        yield Finding(name, WARNING, f"this could not be checked: {error}")
