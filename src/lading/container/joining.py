"""Options that name other containers: whose network, PIDs or volumes are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from lading.container.options import Config, HostConfig
from lading.container.record import Container
from lading.errors import Conflict, Invalid
from lading.volume.points import collect
from lading.volume.values import MountPoint

Find = Callable[[str], Container]
_JOIN = "container:"
_MODES = ("network_mode", "pid_mode", "ipc_mode")


class Conflicting(Invalid):
    """Raised for options that exclude each other, in Docker's words."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"conflicting options: {one} and the {other}")


class NotRunning(Conflict):
    """Raised where a namespace is to be shared that nobody holds."""

    def __init__(self, kind: str, container: Container) -> None:
        super().__init__(f"cannot join {kind} of a non running container: {container.id}")


def joined(mode: str) -> str | None:
    """The container that ``container:X`` names; None for other modes."""
    return mode.removeprefix(_JOIN) if mode.startswith(_JOIN) else None


def resolved(host: HostConfig, find: Find) -> HostConfig:
    """*host* with the containers it joins by their full IDs, which no rename changes."""
    changes = {}
    for field in _MODES:
        other = joined(getattr(host, field))
        if other == "":
            words = field.replace("_", " ")
            raise Invalid(f"Invalid {words}: invalid container format {_JOIN}<name|id>")
        if other is not None:
            changes[field] = _JOIN + find(other).id
    return msgspec.structs.replace(host, **changes)


def check(config: Config, host: HostConfig) -> None:
    """Conflicting, for what a shared network namespace leaves no room for."""
    if joined(host.network_mode) is None:
        return
    mode = "network mode"
    for given, what, other in (
        (config.hostname, "hostname", mode),
        (host.dns, "dns", mode),
        (host.extra_hosts, "custom host-to-IP mapping", mode),
        (config.mac_address, "mac-address", mode),
        (host.links, "links", "container type network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing", f"container type {mode}"),
        (config.exposed_ports, "port exposing", f"container type {mode}"),
    ):
        if given:
            raise Conflicting(what, other)


def mount_points(config: Config, host: HostConfig, find: Find) -> list[MountPoint]:
    """Everything to mount: what is asked for, then others' volumes, then declared ones."""
    inherited = {point.destination: point for point in _inherited(host, find)}
    own = collect(host.binds or (), host.mounts or (), host.tmpfs)
    taken = {point.destination for point in own} | inherited.keys()
    declared = collect(declared=config.volumes or ())
    points = {point.destination: point for point in declared if point.destination not in taken}
    points |= inherited | {point.destination: point for point in own}
    return sorted(points.values(), key=lambda p: (p.destination.count("/"), p.destination))


def _inherited(host: HostConfig, find: Find) -> list[MountPoint]:
    points = []
    for text in host.volumes_from or ():
        ref, _, mode = text.partition(":")
        if not ref or mode not in ("", "ro", "rw", "z", "Z"):
            raise Invalid(f"invalid volumes-from specification: '{text[:80]}'")
        for point in find(ref).mounts:
            if point.kind != "tmpfs":
                points.append(replace(point, read_only=point.read_only or mode == "ro"))
    return points
