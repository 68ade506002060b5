"""Run one command over some layers in a container's sandbox, and hand over what it changed.

An errand is a container that no list shows: it has no name, no log and no volumes, and is
gone when its context ends.  What a daemon that died left of one is cleared away with the
remains of removed containers.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lading.container import blueprint, checks, hostfiles, joining, placement, stubs
from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.container.placement import Facts
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.layer import pack
from lading.layer.change import Change
from lading.layer.pack import Adjust, Output
from lading.linux import usage
from lading.linux.process import reap
from lading.network.networks import Networks
from lading.network.values import Attachment, AttachRequest, NetworkMode, Sandbox
from lading.oci.digest import Digest
from lading.runtime import bundle, conmon, roots
from lading.runtime.conmon import ContainerLaunch, Launched
from lading.runtime.mounts import MountPoint
from lading.runtime.oci import Runtime
from lading.runtime.spec import spec
from lading.snapshot.protocol import Snapshotter

_KILLED = 137

OnOutput = Callable[[int, bytes], None]
"""Told what the command says: `conmon.STDOUT` or `conmon.STDERR`, and the bytes."""

Guard = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Entered while the command runs, with what ends it before its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to run, over which *layers* (bottom first), with which *mounts* beside the root."""

    config: Config
    host: HostConfig = field(default_factory=HostConfig)
    layers: tuple[Digest, ...] = ()
    mounts: tuple[MountPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended; *write* packs what it changed as a layer's tar, while the context lasts."""

    exit_code: int
    oom_killed: bool
    write: Callable[[Output, Adjust | None], None]


class Errands:
    """Run commands that nobody is to see."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        root_file_systems: Roots,
        snapshotter: Snapshotter,
        runtime: Runtime,
        *,
        networks: Networks,
        facts: Facts,
    ) -> None:
        self._places, self._roster, self._roots = places, roster, root_file_systems
        self._snapshotter, self._runtime, self._networks = snapshotter, runtime, networks
        self._facts = facts

    @contextmanager
    def run(self, errand: Errand, *, on_output: OnOutput, guard: Guard) -> Iterator[Finished]:
        """Run it to its end; RuntimeFailed, Invalid and the like where it cannot begin."""
        container = self._decided(errand)
        with ExitStack() as undo:
            directory = self._places.directory(container.id)
            undo.callback(shutil.rmtree, directory, ignore_errors=True)
            self._snapshotter.prepare(container.id, errand.layers)
            undo.callback(self._snapshotter.remove, container.id)
            directory.mkdir(mode=0o710, exist_ok=True)
            undo.callback(self._roots.forget, container.id)
            rootfs = self._roots.hold(container.id)
            code, oom = self._carried_out(container, errand.mounts, rootfs, on_output, guard)
            yield Finished(code, oom, partial(self._write, container.id, rootfs))

    @contextmanager
    def view(self, layers: Sequence[Digest], *, writable: bool = False) -> Iterator[Path]:
        """The *layers* as one tree; what is written into it is gone with the context."""
        key = _new_id()
        with ExitStack() as undo:
            make = self._snapshotter.prepare if writable else self._snapshotter.view
            undo.callback(shutil.rmtree, self._places.directory(key), ignore_errors=True)
            make(key, layers)
            undo.callback(self._snapshotter.remove, key)
            undo.callback(self._roots.forget, key)
            yield self._roots.hold(key)

    def _decided(self, errand: Errand) -> Container:
        """As a container that is asked for is, with all of its defaults and checks."""
        host = placement.completed(errand.host, self._facts)
        host = joining.resolved(host, self._find)
        checks.check(errand.config, host, self._facts)
        container_id = _new_id()
        return Container(
            id=container_id,
            name=f"errand-{container_id[:12]}",
            created=time.time_ns(),
            image_id="",
            config=errand.config,
            host=host,
            networking=NetworkingConfig(),
            layers=[str(layer) for layer in errand.layers],
            driver=self._snapshotter.name,
            mounts=[],
        )

    def _find(self, ref: str) -> Container:
        return self._roster.find(ref).container

    def _carried_out(
        self,
        container: Container,
        points: Sequence[MountPoint],
        rootfs: Path,
        on_output: OnOutput,
        guard: Guard,
    ) -> tuple[int, bool]:
        """The exit code, and whether memory ran out; no process and no network are left."""
        place = self._places.bundle(container.id)
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, place, ignore_errors=True)
            undo.callback(self._networks.detach, container.id)
            attachment = self._attached(container)
            undo.callback(attachment.close)
            config = self._bundle(container, points, rootfs, attachment.sandbox)
            undo.callback(self._runtime.delete, container.id)
            launched = self._launched(container, config)
            undo.callback(_ended, launched)
            with guard(lambda: _kill(launched)):
                self._followed(container, config, launched, on_output)
            oom = usage.oom_kills(self._runtime.group(container.id)) > 0
            directory = self._places.directory(container.id)
            code = conmon.exit_code(directory)
            oom = oom or (directory / "oom").exists()
            return _KILLED if code is None else code, oom

    def _attached(self, container: Container) -> Attachment:
        request = AttachRequest(
            name=container.name,
            mode=NetworkMode.parse(container.host.network_mode),
            joins=joining.joined(container.host.network_mode),
        )
        return self._networks.attach(container.id, request)

    def _bundle(
        self, container: Container, points: Sequence[MountPoint], rootfs: Path, sandbox: Sandbox
    ) -> Path:
        directory = self._places.directory(container.id)
        hostfiles.write(directory, container, sandbox)
        taken = {point.destination for point in points}
        root_fd = roots.open_root(rootfs)
        try:
            roots.check(root_fd)
            files, directories = _targets(points)
            stubs.make(root_fd, [*hostfiles.PLACES, *files], directory, directories=directories)
            around = blueprint.Surroundings(
                rootfs=str(rootfs),
                root_fd=root_fd,
                mounts=(*hostfiles.binds(directory, taken), *points),
                network=sandbox.netns,
                cgroup_path=self._runtime.cgroup_path(container.id),
                cgroup_layout=self._runtime.hierarchies.layout,
            )
            request = blueprint.spec_request(container, around)
        finally:
            os.close(root_fd)
        roots.prepare(request)
        return bundle.write(self._places.bundle(container.id), spec(request))

    def _launched(self, container: Container, config: Path) -> Launched:
        launch = ContainerLaunch(
            id=container.id,
            bundle=config,
            persist=self._places.directory(container.id),
            log=None,
        )
        return conmon.launch(self._runtime, launch)

    def _followed(
        self, container: Container, config: Path, launched: Launched, on_output: OnOutput
    ) -> None:
        """Let the command run, and pass on what it says until it has ended."""
        with conmon.connect(config) as client:
            conmon.settle(config)
            self._runtime.start(container.id, launched.process)
            while packet := client.recv(conmon.MOST_PACKET):
                on_output(packet[0], packet[1:])
        launched.monitor.wait(None)

    def _write(
        self, container_id: str, rootfs: Path, out: Output, adjust: Adjust | None = None
    ) -> None:
        found: Iterator[Change] = self._snapshotter.changes(container_id)
        changes = stubs.without(found, rootfs, self._places.directory(container_id))
        pack.pack(self._snapshotter.writable(container_id), changes, out, adjust=adjust)


def _new_id() -> str:
    """Shorter than a container's: what checks the root tells errands by it from leftovers."""
    return secrets.token_hex(20)


def _targets(points: Sequence[MountPoint]) -> tuple[list[str], list[str]]:
    """What the root must hold to be mounted over: files, and directories."""
    files: list[str] = []
    directories: list[str] = []
    others = ["/dev", "/proc", "/sys", *(point.destination.rstrip("/") for point in points)]
    for point in points:
        inside = any(point.destination.startswith(f"{other}/") for other in others)
        if not inside and point.destination.strip("/"):
            is_file = point.type == "bind" and not Path(point.source).is_dir()
            (files if is_file else directories).append(point.destination)
    return files, directories


def _kill(launched: Launched) -> None:
    launched.process.kill(9)


def _ended(launched: Launched) -> None:
    """Neither the command nor its monitor runs any more."""
    launched.process.kill(9)
    if not launched.monitor.wait(5.0):
        launched.monitor.kill(9)
        launched.monitor.wait(1.0)
    reap(launched.monitor.pid)
