"""A container as the Engine API shows it, inspected and in a list (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lading.api.network_shapes import endpoint, networks, port_map, ports
from lading.api.times import SECOND, human, rfc3339
from lading.container.health import Health
from lading.container.health import words as words_of
from lading.container.record import Container
from lading.container.states import State
from lading.network.values import Sandbox
from lading.volume.values import MountPoint

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a container beside its record."""

    directory: Path  # where its files lie on this host
    volumes: Mapping[str, Path] = field(default_factory=dict)  # by name
    graph: Mapping[str, str] = field(default_factory=dict)  # LowerDir and the like
    execs: Sequence[str] = ()  # IDs of those that run
    image: str = ""  # how the image is called now
    sizes: tuple[int, int] | None = None  # of the writable layer, and of everything
    sandbox: Sandbox | None = None  # its network, while it runs


def inspect(container: Container, around: Surroundings) -> Json:
    """All about one container."""
    files = {name: str(around.directory / name) for name in ("resolv.conf", "hostname", "hosts")}
    return {
        "Id": container.id,
        "Created": rfc3339(container.created),
        "Path": container.argv[0] if container.argv else "",
        "Args": list(container.argv[1:]),
        "State": state(container),
        "Image": container.image_id,
        "ResolvConfPath": files["resolv.conf"],
        "HostnamePath": files["hostname"],
        "HostsPath": files["hosts"],
        "LogPath": str(around.directory / "log"),
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": container.driver,
        "Platform": container.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(around.execs) or None,
        "HostConfig": msgspec.to_builtins(container.host),
        "GraphDriver": {"Data": dict(around.graph) or None, "Name": container.driver},
        **_sizes(around),
        "Mounts": [mount(point, around.volumes) for point in container.mounts],
        "Config": _config(container),
        "NetworkSettings": _network_settings(container, around.sandbox),
    }


def summary(container: Container, around: Surroundings, now_ns: int) -> Json:
    """One line of ``docker ps``."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": around.image or container.config.image,
        "ImageID": container.image_id,
        "Command": _command(container.argv),
        "Created": container.created // SECOND,
        "Ports": ports(container, around.sandbox),
        **_sizes(around),
        "Labels": container.config.labels or {},
        "State": container.state.status.value,
        "Status": status(container, now_ns),
        "HostConfig": {"NetworkMode": container.host.network_mode or "default"},
        "NetworkSettings": {"Networks": networks(container, around.sandbox)},
        "Mounts": [mount(point, around.volumes) for point in container.mounts],
    }


def state(container: Container) -> Json:
    """``State`` of an inspected container."""
    now = container.state
    shown: Json = {
        "Status": now.status.value,
        "Running": now.status.is_up,
        "Paused": now.status is State.PAUSED,
        "Restarting": now.status is State.RESTARTING,
        "OOMKilled": now.oom_killed,
        "Dead": False,
        "Pid": now.process.pid if now.process and container.running else 0,
        "ExitCode": now.exit_code,
        "Error": now.error,
        "StartedAt": rfc3339(now.started_at),
        "FinishedAt": rfc3339(now.finished_at),
    }
    return shown | ({"Health": _health(now.health)} if now.health else {})


def _health(health: Health) -> Json:
    return {
        "Status": health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": rfc3339(result.started_at),
                "End": rfc3339(result.ended_at),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in health.log
        ],
    }


def status(container: Container, now_ns: int) -> str:
    """The state in the words of ``docker ps``."""
    then = container.state
    ended = f"({then.exit_code}) {human(now_ns - then.finished_at)} ago"
    health = f" ({words_of(then.health)})" if then.health else ""
    words = {
        State.RUNNING: f"Up {human(now_ns - then.started_at)}{health}",
        State.PAUSED: f"Up {human(now_ns - then.started_at)} (Paused)",
        State.RESTARTING: f"Restarting {ended}",
        State.EXITED: f"Exited {ended}",
        State.CREATED: "Created",
        State.REMOVING: "Removal In Progress",
    }
    return words[then.status]


def mount(point: MountPoint, volumes: Mapping[str, Path]) -> Json:
    """Docker's `MountPoint`."""
    shown: Json = {"Type": point.kind}
    if point.name:
        shown["Name"] = point.name
    source = str(volumes.get(point.name, "")) if point.name else point.source
    shown |= {"Source": source, "Destination": point.destination}
    if point.kind == "volume":
        shown["Driver"] = point.driver or "local"
    return shown | {
        "Mode": point.mode,
        "RW": not point.read_only,
        "Propagation": point.propagation,
    }


def _sizes(around: Surroundings) -> Json:
    if around.sizes is None:
        return {}
    return {"SizeRw": around.sizes[0], "SizeRootFs": around.sizes[1]}


def _config(container: Container) -> Json:
    shown: Json = msgspec.to_builtins(container.config)
    for name in ("Healthcheck", "MacAddress", "Shell", "StopTimeout", "StopSignal", "ArgsEscaped"):
        if not shown.get(name):
            shown.pop(name, None)
    shown["Labels"] = shown.get("Labels") or {}
    return shown


def _network_settings(container: Container, sandbox: Sandbox | None) -> Json:
    # Docker tells of the default bridge alone here; other networks stand below ``Networks``.
    first = endpoint(
        next((e for e in sandbox.endpoints if e.network == "bridge"), None) if sandbox else None
    )
    same = ("EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress")
    return {
        "Bridge": "",
        "SandboxID": container.id if sandbox and sandbox.netns else "",
        "SandboxKey": (sandbox.netns or "") if sandbox else "",
        "Ports": port_map(container, sandbox),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{name: first[name] for name in (*same, "IPPrefixLen", "IPv6Gateway", "MacAddress")},
        "Networks": networks(container, sandbox),
    }


def _command(argv: Sequence[str]) -> str:
    """As ``docker ps`` shows it: words with spaces in quotes."""
    return " ".join([*argv[:1], *(f"'{word}'" if " " in word else word for word in argv[1:])])
