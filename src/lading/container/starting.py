"""Start a container: everything it stands on first, its process last; all of it or nothing."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from lading.container import blueprint, health, hostfiles, joining, networking, sharing, stubs
from lading.container.announcing import Announcer
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster, Slot
from lading.container.states import Action, after
from lading.container.stowage import Stowage
from lading.container.supervisor import Supervisor
from lading.errors import LadingError, Unavailable
from lading.linux.process import boot_id, reap
from lading.network import ports
from lading.network.networks import Networks
from lading.network.values import Attachment, AttachRequest, NetworkMode, Sandbox, parse_mac
from lading.runtime import bundle, conmon, roots
from lading.runtime.conmon import ContainerLaunch, Launched
from lading.runtime.failures import RuntimeFailed
from lading.runtime.mounts import MountPoint
from lading.runtime.oci import Runtime
from lading.runtime.spec import INIT_PATH, spec

_LOG = logging.getLogger(__name__)
_FAILED = 128  # Docker's exit code for a container that did not come up

OnEnd = Callable[[Slot, Launched], None]


class StartFailed(Unavailable):
    """Raised where the host did not let a container come up."""

    def __init__(self, container: Container, error: OSError) -> None:
        super().__init__(f"cannot start container {container.name}: {error}")


class Starter:
    """Start containers; the caller holds the slot's lock."""

    def __init__(
        self,
        places: Places,
        roster: Roster,
        root_file_systems: Roots,
        stowage: Stowage,
        runtime: Runtime,
        *,
        networks: Networks,
        supervisor: Supervisor,
        announcer: Announcer,
        on_end: OnEnd,
    ) -> None:
        self._places, self._roster, self._roots = places, roster, root_file_systems
        self._stowage, self._runtime, self._networks = stowage, runtime, networks
        self._supervisor, self._announcer, self._on_end = supervisor, announcer, on_end

    def start(self, slot: Slot) -> None:
        """Run the container's command; WrongState, RuntimeFailed and others say why not."""
        container = slot.container
        status = after(container.state.status, Action.START, container.id, container.name)
        try:
            with ExitStack() as undo:
                launched = self._launched(slot, undo)
                self._roster.keep(slot, _running(container, launched, status=status))
                self._runtime.start(container.id, launched.process)
                undo.pop_all()
        except (LadingError, OSError) as error:
            self._note_failure(slot, container, error)
            raise (
                error if isinstance(error, LadingError) else StartFailed(container, error)
            ) from error
        self._supervisor.watch(launched.monitor, partial(self._on_end, slot, launched))
        self._announcer.tell(slot.container, "start")

    def _launched(self, slot: Slot, undo: ExitStack) -> Launched:
        """The created container, its command waiting, those who attach connected."""
        container = slot.container
        self._runtime.place(container.id, container.host.cgroup_parent)
        rootfs = self._roots.hold(container.id)
        undo.callback(self._roots.release, container.id)
        attachment = self._attached(container, undo)
        try:
            config = self._bundle(container, rootfs, attachment.sandbox, undo)
            launched = self._launch(container, config, attachment, undo)
        finally:
            attachment.close()
        for on_socket in slot.waiting.take_attachers():
            on_socket(conmon.connect(config))
        return launched

    def _attached(self, container: Container, undo: ExitStack) -> Attachment:
        host = container.host
        wishes = {
            port: [{"HostIp": each.host_ip, "HostPort": each.host_port} for each in asked]
            for port, asked in (host.port_bindings or {}).items()
        }
        request = AttachRequest(
            name=container.name,
            mode=_network_mode(container),
            ports=ports.requests(
                wishes, container.config.exposed_ports or (), publish_all=host.publish_all_ports
            ),
            mac=parse_mac(container.config.mac_address) if container.config.mac_address else None,
            joins=joining.joined(host.network_mode),
            endpoints=networking.requests(container),
            hostname=container.config.hostname,
            dns=tuple(host.dns or ()),
        )
        attachment = self._networks.attach(container.id, request)
        undo.callback(self._networks.detach, container.id)
        return attachment

    def _bundle(
        self, container: Container, rootfs: Path, sandbox: Sandbox, undo: ExitStack
    ) -> Path:
        """The runtime's directory, with the config.json for all that is made ready here."""
        points = self._mounts(container, rootfs, sandbox, undo)
        root_fd = roots.open_root(rootfs)
        try:
            roots.check(root_fd)
            inits = [INIT_PATH] if container.host.init else []
            stubs.make(root_fd, [*hostfiles.PLACES, *inits], self._places.directory(container.id))
            around = blueprint.Surroundings(
                rootfs=str(rootfs),
                root_fd=root_fd,
                mounts=tuple(points),
                network=sandbox.netns,
                pid=sharing.pid_namespace(container, self._find),
                ipc=sharing.ipc_namespace(container, self._find),
                cgroup_path=self._runtime.cgroup_path(container.id),
                cgroup_layout=self._runtime.hierarchies.layout,
            )
            request = blueprint.spec_request(container, around)
        finally:
            os.close(root_fd)
        roots.prepare(request)
        return bundle.write(self._places.bundle(container.id), spec(request))

    def _mounts(
        self, container: Container, rootfs: Path, sandbox: Sandbox, undo: ExitStack
    ) -> list[MountPoint]:
        directory = self._files_directory(container)
        if directory == self._places.directory(container.id):
            hostfiles.write(directory, container, sandbox)
        # Only a new container fills its volumes: what was emptied since stays empty.
        is_new = not container.state.started_at
        own = self._stowage.load(container.mounts, rootfs, undo, fill=is_new)
        taken = {point.destination for point in own}
        shared = sharing.memory(container, self._places, taken, undo)
        files = hostfiles.binds(directory, taken, read_only=container.host.readonly_rootfs)
        return [*files, *shared, *own]

    def _files_directory(self, container: Container) -> Path:
        """Where hosts and its like lie: with whoever's network it shares."""
        return self._places.directory(joining.joined(container.host.network_mode) or container.id)

    def _launch(
        self, container: Container, config: Path, attachment: Attachment, undo: ExitStack
    ) -> Launched:
        undo.callback(self._runtime.delete, container.id)
        options = container.config
        keeps_log = container.host.log_config.type != "none"
        launched = conmon.launch(
            self._runtime,
            ContainerLaunch(
                id=container.id,
                bundle=config,
                persist=self._places.directory(container.id),
                log=self._places.log(container.id) if keeps_log else None,
                terminal=options.tty,
                stdin=options.open_stdin,
                # A terminal is left and taken up again: only a pipe ends with its first client.
                stdin_once=options.stdin_once and not options.tty,
                pass_fds=attachment.descriptors,
            ),
        )
        undo.callback(_end_monitor, launched)
        return launched

    def _find(self, ref: str) -> Container:
        return self._roster.find(ref).container

    def _note_failure(self, slot: Slot, before: Container, error: Exception) -> None:
        """It is what it was, with the reason why it did not come up."""
        code = error.exit_code if isinstance(error, RuntimeFailed) else _FAILED
        failed = before.with_state(exit_code=code, error=str(error))
        try:
            self._roster.keep(slot, failed)
        except Exception:
            _LOG.exception("why container %s did not start cannot be kept", before.short_id)
            slot.container = failed


def _running(container: Container, launched: Launched, **changes: object) -> Container:
    return container.with_state(
        process=launched.process,
        monitor=launched.monitor,
        boot_id=boot_id(),
        exit_code=0,
        error="",
        oom_killed=False,
        started_at=time.time_ns(),
        stopped_by_user=False,
        health=health.at_start(container.config),
        **changes,
    )


def _network_mode(container: Container) -> NetworkMode:
    disabled = container.config.network_disabled
    return NetworkMode("none") if disabled else NetworkMode.parse(container.host.network_mode)


def _end_monitor(launched: Launched) -> None:
    """The container is given up, and its monitor, which nobody watches yet, goes with it."""
    launched.process.kill(9)
    launched.monitor.wait(2.0)
    launched.monitor.kill(9)
    launched.monitor.wait(2.0)
    reap(launched.monitor.pid)
