"""The OCI runtime, runc or crun: chosen by trying it, and asked to do the rest of a life.

Creating goes through `lading.runtime.conmon`.  What both runtimes do by plain system calls
(signals, the freezer, removing what a dead container left) is done here by the same calls,
which spares starting a program for each.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.errors import Unsupported
from lading.linux.cgroups import Group, Hierarchies, Layout, own_groups
from lading.linux.process import ProcessRef
from lading.runtime.failures import failure
from lading.runtime.probe import problem
from lading.runtime.resources import Resources, linux_resources
from lading.settings import Settings

MONITORS = "monitors"  # the group, beside the containers' own, that conmon lives in
_SECONDS = 60.0
_START_SECONDS = 10.0
_PREFERRED = {
    Layout.UNIFIED: ("crun", "runc"),
    Layout.HYBRID: ("runc", "crun"),
    Layout.V1: ("runc", "crun"),
}


class NoRuntime(Unsupported):
    """Raised where neither runc nor crun works on this host."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("no OCI runtime works here: " + "; ".join(reasons))


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that was found to work, and where it keeps its state."""

    name: str
    path: str
    version: str
    state: Path
    hierarchies: Hierarchies
    parent: str  # the cgroup above all of this engine's
    shelters: tuple[Path, ...] = ()
    _elsewhere: dict[str, str] = field(default_factory=dict)  # parents of containers that chose

    def arguments(self, log: Path) -> list[str]:
        """The options that stand before every command."""
        return [f"--root={self.state}", f"--log={log}", "--log-format=json"]

    def cgroup_path(self, container: str) -> str:
        """Where the container's processes are, below every hierarchy's root."""
        return f"{self._elsewhere.get(container, self.parent)}/{container}"

    def place(self, container: str, parent: str) -> None:
        """Have a container's group below another one; an empty *parent* is the engine's own."""
        if parent:
            self._elsewhere[container] = "/" + parent.strip("/")

    def displace(self, container: str) -> None:
        """The container is gone for good."""
        self._elsewhere.pop(container, None)

    def shelter(self, pid: int) -> None:
        """Move a monitor out of the daemon's own groups: whoever kills those must not hit it.

        The first such move after a while waits for the kernel (an RCU grace period, 6 ms), and
        so spares the runtime that wait, which it would have a little later.
        """
        for directory in self.shelters:
            with suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                (directory / "cgroup.procs").write_text(str(pid))

    def start(self, container: str, process: ProcessRef) -> None:
        """Let a created container run its command; RuntimeFailed when it cannot."""
        if not self._open_gate(container, process):
            self._run("start", container)

    def is_waiting(self, container: str) -> bool:
        """Whether the container was created, and waits for `start` to run its command."""
        return (self.state / container / "exec.fifo").exists()

    def kill(self, process: ProcessRef, signum: int) -> bool:
        """Signal the container's first process; False when it has ended."""
        return process.kill(signum)

    def group(self, container: str) -> Group:
        return self.hierarchies.group(self.cgroup_path(container))

    def pause(self, container: str) -> None:
        """Freeze every process of the container; they stand still on return."""
        self.group(container).freeze()

    def resume(self, container: str) -> None:
        self.group(container).thaw()

    def delete(self, container: str) -> None:
        """Remove what an ended container left: stray processes, groups, state; idempotent."""
        self.group(container).destroy()
        shutil.rmtree(self.state / container, ignore_errors=True)

    def state_of(self, container: str) -> dict[str, Any] | None:
        """The runtime's own view (runtime.md#state); None when it knows no such container."""
        done = self._command("state", container)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def update(self, container: str, resources: Resources) -> None:
        """Change a live container's limits; RuntimeFailed."""
        document = json.dumps(linux_resources(resources))
        self._run("update", "--resources=-", container, text=document)

    def containers(self) -> list[str]:
        """The IDs that the runtime keeps state for."""
        return sorted(path.name for path in self.state.glob("*/") if path.is_dir())

    def strays(self, known: Collection[str]) -> list[str]:
        """Containers that left something here and are not *known*: after a crash, for `delete`."""
        grouped = self.hierarchies.group(self.parent).children()
        left = {name for name in grouped if name != MONITORS} | set(self.containers())
        return sorted(left - set(known))

    def tidy(self) -> None:
        """Remove this engine's own groups, as far as nothing lives in them."""
        self.hierarchies.group(self.parent).remove_empty()

    def _open_gate(self, container: str, process: ProcessRef) -> bool:
        """Do what `runc start` does: read the byte with which its init waits in a fifo.

        False where there is no such gate, or nobody waits at it.
        """
        gate = self.state / container / "exec.fifo"
        if self.name != "runc" or not gate.exists():
            return False
        # Before the gate is open: the command may be over, and reaped, at once.
        pidfd = process.open()
        if pidfd is None:
            return False
        try:
            return _byte_came(gate, pidfd)
        finally:
            os.close(pidfd)

    def _run(self, verb: str, *arguments: str, text: str | None = None) -> str:
        done = self._command(verb, *arguments, text=text)
        if done.returncode:
            raise failure(verb, done.stderr.strip() or f"{self.name} exited {done.returncode}")
        return done.stdout

    def _command(
        self, verb: str, *arguments: str, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, f"--root={self.state}", verb, *arguments],
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )


def _byte_came(gate: Path, pidfd: int) -> bool:
    fd = os.open(gate, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ready = dict(poll.poll(_START_SECONDS * 1000))
        came = bool(ready.get(fd, 0) & select.POLLIN) and os.read(fd, 1) == b"0"
    finally:
        os.close(fd)
    if came:
        gate.unlink(missing_ok=True)
    return came


def choose(settings: Settings) -> Runtime:
    """The runtime that works here, or the one asked for; NoRuntime says why none does.

    Each is tried on a container; crun first where cgroup v2 is unified, for it is faster.
    """
    hierarchies = Hierarchies.read()
    reasons = []
    wanted = settings.runtime
    for name in (wanted,) if wanted else _PREFERRED[hierarchies.layout]:
        found = shutil.which(name)
        reason = _problem(found, settings, hierarchies)
        if found and reason is None:
            return _runtime(settings, found, hierarchies)
        reasons.append(f"{name}: {reason}")
    raise NoRuntime(reasons)


def _problem(path: str | None, settings: Settings, hierarchies: Hierarchies) -> str | None:
    if path is None:
        return "not installed"
    return problem(path, settings.run_root, hierarchies, _parent(settings))


def _parent(settings: Settings) -> str:
    """The control group above all of this engine's."""
    return f"/lading-{settings.instance}"


def _runtime(settings: Settings, path: str, hierarchies: Hierarchies) -> Runtime:
    name = Path(path).name
    parent = _parent(settings)
    return Runtime(
        name=name,
        path=path,
        version=_version(path),
        state=settings.run_root / name,
        hierarchies=hierarchies,
        parent=parent,
        shelters=tuple(_shelters(hierarchies, f"{parent}/{MONITORS}")),
    )


def _shelters(hierarchies: Hierarchies, path: str) -> Iterator[Path]:
    """Where monitors go: what systemd tracks, and what could limit them with the daemon."""
    own = own_groups()
    tracked = hierarchies.tracked_root()
    if tracked:
        yield tracked / path.lstrip("/")
    for controller in ("memory", "pids"):
        root = hierarchies.roots.get(controller)
        if root and own.get(controller, "/") != "/":
            yield root / path.lstrip("/")


def _version(path: str) -> str:
    """The version that the program reports; empty when it does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    first = done.stdout.partition("\n")[0].split()
    return first[-1] if done.returncode == 0 and first else ""
