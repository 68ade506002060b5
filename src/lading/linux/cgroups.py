"""Control groups: which hierarchies this host has, and one group seen across all of them.

A host has cgroup v1 (a hierarchy for each controller), v2 (one for all), or both mixed
(hybrid).  Limits are set by the OCI runtime; here groups are found, watched, frozen, emptied
and removed.  Reading their figures is `lading.linux.usage`'s job.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lading.errors import Unavailable, Unsupported

_MOUNTS = Path("/proc/self/mountinfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
UNIFIED = ""  # the v2 hierarchy's name, as /proc/pid/cgroup writes it
_PAUSE = 0.0005  # seconds between two looks at a group that is changing
_REMOVAL_SECONDS = 2.0
_FREEZING_SECONDS = 5.0
_FREEZING_TRIES = 200  # after so many looks a v1 freeze is begun anew: a fork may have escaped


# The limits on block devices: the files of which one must be there.
_BLOCK_V1 = {
    "blkio_weight": ("blkio.weight", "blkio.bfq.weight"),
    "blkio_weight_device": ("blkio.weight_device", "blkio.bfq.weight_device"),
    "blkio_device_read_bps": ("blkio.throttle.read_bps_device",),
    "blkio_device_write_bps": ("blkio.throttle.write_bps_device",),
    "blkio_device_read_iops": ("blkio.throttle.read_iops_device",),
    "blkio_device_write_iops": ("blkio.throttle.write_iops_device",),
}
_BLOCK_V2 = {
    "blkio_weight": ("io.weight", "io.bfq.weight"),
    "blkio_weight_device": ("io.bfq.weight",),
    **{name: ("io.max",) for name in _BLOCK_V1 if "device_" in name},
}


class Layout(Enum):
    """How this host's control groups are arranged."""

    V1 = "v1"
    HYBRID = "hybrid"  # v1 controllers, with a v2 hierarchy beside them
    UNIFIED = "v2"


class NoCgroups(Unsupported):
    """Raised where no control group hierarchy is mounted."""

    def __init__(self) -> None:
        super().__init__("no cgroup hierarchy is mounted below /sys/fs/cgroup")


class FreezeFailed(Unavailable):
    """Raised where a group's processes would not stop in time; they run again."""

    def __init__(self, path: str) -> None:
        super().__init__(f"cgroup {path} did not freeze within {_FREEZING_SECONDS:.0f} seconds")


class GroupBusy(Unavailable):
    """Raised where a group cannot be removed because processes stay in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"cgroup is still in use: {path}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The mounted hierarchies: controller (or ``name=…``; ``""`` is v2) to its mount point."""

    layout: Layout
    roots: Mapping[str, Path]

    @classmethod
    def read(cls) -> Hierarchies:
        """This host's; NoCgroups when there are none."""
        return cls.parse(_MOUNTS.read_text())

    @classmethod
    def parse(cls, mountinfo: str) -> Hierarchies:
        """Those in the text of a mountinfo file (proc(5))."""
        roots: dict[str, Path] = {}
        for names, path in _cgroup_mounts(mountinfo):
            for name in names:
                roots.setdefault(name, path)
        if not roots:
            raise NoCgroups
        v1 = any(name and not name.startswith("name=") for name in roots)
        mixed = Layout.HYBRID if UNIFIED in roots else Layout.V1
        return cls(mixed if v1 else Layout.UNIFIED, roots)

    def group(self, path: str) -> Group:
        """The group at *path*, which is the same below every hierarchy's root."""
        return Group(self, "/" + path.strip("/"))

    def directories(self) -> list[Path]:
        """Every hierarchy's root once, also where one serves several controllers."""
        return list(dict.fromkeys(self.roots.values()))

    def has_swap_accounting(self) -> bool:
        """Whether a limit on swap can be set."""
        if self.layout is Layout.UNIFIED:
            return any(self.roots[UNIFIED].glob("*/memory.swap.max"))
        root = self.roots.get("memory")
        return root is not None and (root / "memory.memsw.limit_in_bytes").exists()

    def block_limits(self) -> frozenset[str]:
        """The limits on block devices that this kernel has, as Docker's options call them."""
        unified = self.layout is Layout.UNIFIED
        root = self.roots.get(UNIFIED if unified else "blkio")
        if root is None:
            return frozenset()
        files = _BLOCK_V2 if unified else _BLOCK_V1
        there = {path.name for group in (root, *_below(root)[:20]) for path in group.glob("*io.*")}
        return frozenset(name for name, known in files.items() if there & set(known))

    def tracked_root(self) -> Path | None:
        """The hierarchy by which systemd tracks its units; None where there is none."""
        if self.layout is Layout.UNIFIED:
            return self.roots[UNIFIED]
        return self.roots.get("name=systemd")


def own_groups() -> dict[str, str]:
    """The groups that the calling process is in, by controller (``""`` is v2)."""
    groups = {}
    for line in _OWN_GROUPS.read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            groups[name] = path
    return groups


def _cgroup_mounts(mountinfo: str) -> Iterator[tuple[list[str], Path]]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        path = Path(before.split(" ")[4])
        if kind == "cgroup2":
            yield [UNIFIED], path
        elif kind == "cgroup":
            plain = {"rw", "ro", "xattr", "clone_children", "noprefix"}
            names = [o for o in options.split(",") if o not in plain and "release_agent" not in o]
            yield names, path


@dataclass(frozen=True, slots=True)
class Group:
    """One group, known by its path below every hierarchy; it need not exist yet."""

    hierarchies: Hierarchies
    path: str

    def directory(self, controller: str) -> Path | None:
        """Where *controller* keeps this group; None where no hierarchy has that controller."""
        roots = self.hierarchies.roots
        unified = self.hierarchies.layout is Layout.UNIFIED
        root = roots.get(UNIFIED if unified else controller)
        return None if root is None else root / self.path.lstrip("/")

    def directories(self) -> list[Path]:
        """The group's directories that exist, one for each hierarchy."""
        relative = self.path.lstrip("/")
        return [d for r in self.hierarchies.directories() if (d := r / relative).is_dir()]

    def exists(self) -> bool:
        return bool(self.directories())

    def create(self) -> None:
        """Make the group in every hierarchy; one that exists is left as it is."""
        for root in self.hierarchies.directories():
            (root / self.path.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def children(self) -> list[str]:
        """The names of the groups directly below this one, in any hierarchy."""
        return sorted({child.name for d in self.directories() for child in _below(d)})

    def processes(self) -> list[int]:
        """Every process in the group and below it."""
        found: set[int] = set()
        for directory in self.directories():
            for group in _tree(directory):
                found.update(_pids(group))
        return sorted(found)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Signal every process in the group and below."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def destroy(self, seconds: float = _REMOVAL_SECONDS) -> None:
        """Kill whatever is left in the group and remove it everywhere; idempotent.

        GroupBusy when a process will not die within *seconds*.
        """
        deadline = time.monotonic() + seconds
        while left := [d for d in self.directories() if not _removed(d)]:
            if time.monotonic() > deadline:
                raise GroupBusy(left[0])
            self._kill_all()
            time.sleep(_PAUSE)

    def _kill_all(self) -> None:
        """Kill the group's processes; those that fork meanwhile do not get away."""
        unified = self.hierarchies.layout is Layout.UNIFIED
        directory = self.directory("freezer")
        if unified and directory and (directory / "cgroup.kill").exists():
            (directory / "cgroup.kill").write_text("1")
            return
        # Frozen, none can fork; the signal takes effect when they thaw.
        with suppress(OSError):
            self._set_frozen(True)
        self.kill()
        with suppress(OSError):
            self._set_frozen(False)

    def remove_empty(self) -> None:
        """Remove the group and those below it, except where processes live."""
        for directory in self.directories():
            _removed(directory)

    def frozen(self) -> bool:
        """Whether its processes are stopped by the freezer."""
        directory = self.directory("freezer")
        if directory is None or not directory.is_dir():
            return False
        if self.hierarchies.layout is Layout.UNIFIED:
            return "frozen 1" in (directory / "cgroup.events").read_text()
        return (directory / "freezer.state").read_text().strip() == "FROZEN"

    def freeze(self) -> None:
        """Stop every process in the group; on return they do stand still.

        FreezeFailed (and they run again) when that takes too long.
        """
        deadline = time.monotonic() + _FREEZING_SECONDS
        tries = 0
        self._set_frozen(True)
        while not self.frozen():
            if time.monotonic() > deadline:
                self._set_frozen(False)
                raise FreezeFailed(self.path)
            time.sleep(_PAUSE)
            tries += 1
            if tries % _FREEZING_TRIES == 0:
                self._set_frozen(False)
                self._set_frozen(True)

    def thaw(self) -> None:
        """Let the group's processes go on."""
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        directory = self.directory("freezer")
        if directory is None:
            raise NoCgroups
        if self.hierarchies.layout is Layout.UNIFIED:
            (directory / "cgroup.freeze").write_text("1" if frozen else "0")
        else:
            (directory / "freezer.state").write_text("FROZEN" if frozen else "THAWED")


def _tree(directory: Path) -> Iterator[Path]:
    """The group's directory and those below it; they may vanish meanwhile."""
    yield directory
    for child in _below(directory):
        yield from _tree(child)


def _below(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _pids(directory: Path) -> list[int]:
    try:
        return [int(pid) for pid in (directory / "cgroup.procs").read_text().split()]
    except (FileNotFoundError, OSError):
        return []


def _removed(directory: Path) -> bool:
    """Remove a group's directory and all below; False while something is in it."""
    everything = True
    for group in reversed(list(_tree(directory))):
        try:
            group.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise
            everything = False
    return everything
