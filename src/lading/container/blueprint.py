"""Everything a runtime is to know of a container, from its record and what was made for it.

Names are looked up inside the mounted root, devices on the host; nothing is changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lading.container import block_io
from lading.container.limits import USUAL_RLIMITS, limits, rlimits
from lading.container.options import Device as DeviceWish
from lading.container.record import Container
from lading.errors import Invalid
from lading.linux.cgroups import Layout
from lading.runtime import capabilities, devices, inits, seccomp, security, users
from lading.runtime.mounts import MountPoint
from lading.runtime.rlimits import attainable
from lading.runtime.spec import Json, Namespaces, ProcessRequest, Shared, Space, SpecRequest

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RULE = re.compile(r"([abc]) ([0-9]{1,10}|\*):([0-9]{1,10}|\*) ([rwm]{1,3})")


class InvalidDeviceRule(Invalid):
    """Raised for a ``--device-cgroup-rule`` that is none."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid device cgroup rule format: '{text[:80]}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What was made for a container before its process can be described."""

    rootfs: str
    root_fd: int
    mounts: tuple[MountPoint, ...]
    network: str | None  # the path of a namespace; None: the host's
    pid: str | None = None  # of the container whose PIDs are shared: a path
    ipc: str | None = None
    cgroup_path: str = ""
    cgroup_layout: Layout = Layout.UNIFIED


def spec_request(container: Container, around: Surroundings) -> SpecRequest:
    """The container whole; Invalid or Unsupported for what cannot be had on this host."""
    host = container.host
    options = security.parse(host.security_opt or (), has_apparmor=security.has_apparmor())
    held = _capabilities(container)
    return SpecRequest(
        process=first_process(container, around.root_fd, options, held),
        rootfs=around.rootfs,
        readonly_rootfs=host.readonly_rootfs,
        hostname=container.config.hostname,
        domainname=container.config.domainname,
        mounts=around.mounts,
        shm_size=0 if host.ipc_mode == "none" else host.shm_size,
        namespaces=_namespaces(container, around),
        cgroup_path=around.cgroup_path,
        cgroup_layout=around.cgroup_layout,
        resources=replace(limits(host), block_devices=block_io.limits(host)),
        devices=tuple(_devices(container)),
        device_rules=tuple(device_rule(text) for text in host.device_cgroup_rules or ()),
        sysctls=host.sysctls or {},
        seccomp=_seccomp(options.seccomp, held),
        privileged=host.privileged,
        masked_paths=tuple(host.masked_paths or ()),
        readonly_paths=tuple(host.readonly_paths or ()),
        rootfs_propagation=_propagation(container),
        init=inits.find() if host.init else None,
        annotations=host.annotations or {},
    )


def first_process(
    container: Container,
    root_fd: int,
    options: security.SecurityOptions,
    held: tuple[str, ...],
) -> ProcessRequest:
    """The process that the container is there for."""
    config, host = container.config, container.host
    user = users.resolve(root_fd, config.user, host.group_add or ())
    return ProcessRequest(
        argv=tuple(container.argv),
        env=tuple(environment(container, user.home, terminal=config.tty)),
        cwd=config.working_dir or "/",
        user=user,
        terminal=config.tty,
        console_size=console(host.console_size),
        capabilities=held,
        no_new_privileges=options.no_new_privileges,
        rlimits=rlimits(host.ulimits or (), attainable(USUAL_RLIMITS)),
        oom_score_adj=host.oom_score_adj or None,
        apparmor=None if host.privileged else options.apparmor,
    )


def environment(
    container: Container, home: str, *, terminal: bool, extra: Sequence[str] = ()
) -> list[str]:
    """The variables a process of the container gets: later ones replace earlier ones."""
    usual = [PATH, f"HOSTNAME={container.config.hostname}", *(["TERM=xterm"] if terminal else [])]
    chosen: dict[str, str] = {"HOME": f"HOME={home}"}
    for variable in (*usual, *(container.config.env or ()), *extra):
        name, equals, _ = variable.partition("=")
        if equals:
            chosen[name] = variable
        else:
            chosen.pop(name, None)  # a bare name takes the variable away
    return list(chosen.values())


def exec_capabilities(container: Container, *, privileged: bool) -> tuple[str, ...]:
    """What a further process in the container may hold."""
    if privileged:
        return capabilities.chosen(privileged=True, available=_available())
    return _capabilities(container)


def device_rule(text: str) -> devices.DeviceRule:
    """Read ``c 1:3 rwm``; InvalidDeviceRule."""
    found = _RULE.fullmatch(text)
    if not found:
        raise InvalidDeviceRule(text)
    kind, major, minor, access = found.groups()
    numbers = [None if number == "*" else int(number) for number in (major, minor)]
    return devices.DeviceRule(True, kind, numbers[0], numbers[1], access)


def _capabilities(container: Container) -> tuple[str, ...]:
    host = container.host
    return capabilities.chosen(
        host.cap_add or (),
        host.cap_drop or (),
        privileged=host.privileged,
        available=_available(),
    )


@lru_cache(maxsize=1)
def _available() -> frozenset[str]:
    return capabilities.available()


def _seccomp(profile: str, held: tuple[str, ...]) -> Json | None:
    if profile == security.UNCONFINED:
        return None
    return seccomp.parse(profile, held, _machine()) if profile else _default_seccomp(held)


@lru_cache(maxsize=16)
def _default_seccomp(held: tuple[str, ...]) -> Json:
    return seccomp.default(held, _machine())


@lru_cache(maxsize=1)
def _machine() -> seccomp.Host:
    major, minor = re.findall(r"[0-9]+", os.uname().release)[:2]
    return seccomp.Host(os.uname().machine, (int(major), int(minor)))


def _namespaces(container: Container, around: Surroundings) -> Namespaces:
    host = container.host
    return Namespaces(
        pid=_space(host.pid_mode, around.pid),
        ipc=_space(host.ipc_mode, around.ipc),
        uts=_space(host.uts_mode, None),
        network=around.network or Shared.HOST,
        cgroup=Shared(host.cgroupns_mode) if host.cgroupns_mode else None,
    )


def _space(mode: str, path: str | None) -> Space:
    return Shared.HOST if mode == "host" else path


def _devices(container: Container) -> list[devices.Device]:
    if container.host.privileged:
        return devices.of_host()
    return [device for wish in container.host.devices or () for device in _device(wish)]


def _device(wish: DeviceWish) -> list[devices.Device]:
    inside = wish.path_in_container or wish.path_on_host
    return devices.from_host(wish.path_on_host, inside, wish.cgroup_permissions or "rwm")


_PROPAGATES: Mapping[str, str] = {"shared": "shared", "slave": "rslave"}


def _propagation(container: Container) -> str:
    """How the root must propagate, for a mount below it that does (mount_namespaces(7))."""
    asked = {point.propagation.removeprefix("r") for point in container.mounts}
    return next((root for kind, root in _PROPAGATES.items() if kind in asked), "")


def console(size: Sequence[int] | None) -> tuple[int, int] | None:
    """Rows and columns, when a terminal's size was given whole."""
    return (size[0], size[1]) if size and len(size) == 2 and size[0] and size[1] else None
