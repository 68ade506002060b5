"""What a restore is going to make, decided from the bill before anything is changed.

Everything in a bill is looked at as if a stranger had written it: by the rules that a new
container is held to.  What cannot be had is told all at once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from lading.backup import privileges
from lading.backup.bill import VOLUME, Bill, Part
from lading.container import checks, joining, names, refusals
from lading.container.options import HostConfig, NetworkingConfig, PortBinding
from lading.container.placement import Facts
from lading.container.record import Container, StateRecord
from lading.container.states import State
from lading.errors import Conflict, Invalid, LadingError, NotFound
from lading.network.values import NetworkMode
from lading.network.wishes import check_name as check_network
from lading.oci.config import ImageConfig
from lading.oci.manifest import Manifest
from lading.oci.platform import Platform
from lading.volume import points
from lading.volume.names import check_name
from lading.volume.values import MountPoint

_ID = re.compile(r"[0-9a-f]{64}")
_MODES = ("network_mode", "pid_mode", "ipc_mode")
_PROPAGATION = ("", "private", "rprivate", "shared", "rshared", "slave", "rslave")
_RESERVED = ("", "bridge", "default", "host", "none")


class CannotRestore(Conflict):
    """Raised, before anything was changed, where something cannot be had."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("cannot restore:\n" + "\n".join(f"  {each}" for each in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """How to restore; the maps go from what the backup says to what is to be."""

    name: str = ""
    start: bool = False
    ports: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    force: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """What there is on this host: each answers for one name or ID."""

    facts: Facts
    find: Callable[[str], Container]
    has_volume: Callable[[str], bool]
    has_network: Callable[[str], bool]
    is_port_free: Callable[[str, int, str], bool]  # address, number, protocol


@dataclass(frozen=True, slots=True)
class Planned:
    """One container as it will be: *volumes* are parts by the names that they get."""

    bill: Bill
    container: Container
    volumes: Mapping[str, Part]
    networks: Sequence[Mapping[str, Any]]


def plan(bills: Sequence[Bill], request: RestoreRequest, here: Here) -> list[Planned]:
    """The containers, all of them; CannotRestore."""
    privileges.check_allowed(request.allow)
    if request.name and len(bills) > 1:
        raise Invalid("--name is for one backup alone")
    planner = _Planner(bills, request, here)
    planned = [planner.planned(bill) for bill in bills]
    if planner.problems:
        raise CannotRestore(planner.problems)
    return [each for each in planned if each is not None]


class _Planner:
    """Collects what cannot be had while it decides."""

    def __init__(self, bills: Sequence[Bill], request: RestoreRequest, here: Here) -> None:
        self._request, self._here = request, here
        self.problems: list[str] = []
        self._ids = {bill.container.id: self._id(bill.container.id) for bill in bills}
        self._names = {bill.container.id: bill.container.name for bill in bills}
        self._taken: set[str] = set()

    def planned(self, bill: Bill) -> Planned | None:
        cargo, before = bill.container, len(self.problems)
        self._name_problems(bill)
        self.problems += map(str, privileges.missing(cargo, self._request.allow))
        image = self._image(bill)
        host = self._host(cargo.host)
        volumes = self._volumes(bill)
        mounts = [each for each in map(self._mount, cargo.mounts) if each is not None]
        networks = self._networks(bill)
        self._option_problems(bill, host)
        if len(self.problems) > before or image is None:
            return None
        container = Container(
            id=self._ids[cargo.id],
            name=self._request.name or cargo.name,
            created=cargo.created,
            image_id=str(image.id),
            config=cargo.config,
            host=host,
            networking=self._networking(cargo.networking),
            layers=[str(layer) for layer in image.diff_ids],
            driver="",
            mounts=mounts,
            state=_state(bill),
            platform=cargo.platform,
        )
        return Planned(bill, container, volumes, networks)

    def _id(self, wanted: str) -> str:
        """The same ID, where it is one and is free."""
        if _ID.fullmatch(wanted):
            try:
                self._here.find(wanted)
            except NotFound:
                return wanted
        return secrets.token_hex(32)

    def _name_problems(self, bill: Bill) -> None:
        name = self._request.name or bill.container.name
        with self._telling():
            names.check(name)
            if name in self._taken:
                self.problems.append(f"two backups are of a container named {name}")
            self._taken.add(name)
            try:
                owner = self._here.find(name)
            except NotFound:
                return
            if owner.name == name:
                self.problems.append(f"the name {name} is taken by a container: use --name")

    def _image(self, bill: Bill) -> ImageConfig | None:
        with self._telling():
            manifest = Manifest.parse(bill.image.manifest)
            config = ImageConfig.parse(bill.image.config)
            if manifest.config.digest != config.id:
                self.problems.append("the image's configuration is not the one it names")
            here = Platform.of_host()
            built = config.platform
            if not here.accepts(built):
                self.problems.append(f"the image is for {built}, and this host is {here}")
            return config
        return None

    def _host(self, host: HostConfig) -> HostConfig:
        changes: dict[str, Any] = {}
        for mode in _MODES:
            other = joining.joined(getattr(host, mode))
            if other is not None:
                changes[mode] = f"container:{self._joined(other)}"
        if NetworkMode.parse(host.network_mode).kind == "network":
            changes["network_mode"] = self._network(host.network_mode)
        changes["binds"] = host.binds and [self._bind(text) for text in host.binds]
        changes["mounts"] = host.mounts and [self._asked(mount) for mount in host.mounts]
        changes["port_bindings"] = self._ports(host)
        return msgspec.structs.replace(host, **changes)

    def _joined(self, other: str) -> str:
        if other in self._ids:
            return self._ids[other]
        try:
            return self._here.find(other).id
        except LadingError:
            self.problems.append(f"container {other[:64]}, which it joins, is not here")
            return other

    def _bind(self, text: str) -> str:
        name, colon, rest = text.partition(":")
        return f"{self._volume(name)}{colon}{rest}" if colon and not name.startswith("/") else text

    def _asked(self, mount: dict[str, Any]) -> dict[str, Any]:
        source = mount.get("Source")
        if mount.get("Type", "volume") == "volume" and source:
            return {**mount, "Source": self._volume(str(source))}
        return mount

    def _volume(self, name: str) -> str:
        return self._request.volumes.get(name, name)

    def _network(self, name: str) -> str:
        return self._request.networks.get(name, name)

    def _ports(self, host: HostConfig) -> dict[str, list[PortBinding]] | None:
        if host.port_bindings is None:
            return None
        found: dict[str, list[PortBinding]] = {}
        for port, bindings in host.port_bindings.items():
            found[port] = [self._binding(port, each) for each in bindings or ()]
        return found

    def _binding(self, port: str, binding: PortBinding) -> PortBinding:
        number = self._request.ports.get(binding.host_port, binding.host_port)
        proto = port.partition("/")[2] or "tcp"
        if number.isdigit() and int(number) and self._request.start:
            with self._telling():
                if not self._here.is_port_free(binding.host_ip, int(number), proto):
                    self.problems.append(
                        f"port {number}/{proto} is in use on this host: use --map-port"
                    )
        return msgspec.structs.replace(binding, host_port=number)

    def _volumes(self, bill: Bill) -> dict[str, Part]:
        found = {}
        for part in bill.parts:
            if part.kind != VOLUME:
                continue
            name = self._volume(part.name)
            with self._telling():
                check_name(name)
                if self._here.has_volume(name):
                    self.problems.append(
                        f"a volume named {name} is here already: use --map-volume, or remove it"
                    )
            found[name] = part
        return found

    def _mount(self, point: MountPoint) -> MountPoint | None:
        """The mount as it would be read from a request, so that nothing else gets in."""
        with self._telling():
            if point.kind == "tmpfs":
                return replace(points.from_tmpfs(point.destination, point.mode), mode=point.mode)
            asked = {"Type": point.kind, "Target": point.destination}
            asked["Source"] = self._volume(point.name or "") if point.name else point.source
            read = points.from_mount({**asked, "ReadOnly": point.read_only})
            if read.destination != point.destination or point.propagation not in _PROPAGATION:
                raise Invalid(f"mount {point.destination!r}")
            if point.subpath:
                with_subpath = {**asked, "VolumeOptions": {"Subpath": point.subpath}}
                points.from_mount(with_subpath)
            if point.kind == "volume":
                return replace(point, name=read.name, source="")
            return point
        return None

    def _networks(self, bill: Bill) -> list[Mapping[str, Any]]:
        """The networks to be made; those of the same name that are here are taken as they are."""
        known = {str(each.get("name")): each for each in bill.networks}
        mode = NetworkMode.parse(bill.container.host.network_mode)
        wanted = set(bill.container.networking.endpoints_config or ())
        wanted |= {mode.name} if mode.kind == "network" else set()
        found: list[Mapping[str, Any]] = []
        for name in sorted(wanted - set(_RESERVED)):
            new = self._network(name)
            with self._telling():
                if new in _RESERVED or self._here.has_network(check_network(new)):
                    continue
                if name in known:
                    found.append({**known[name], "name": new})
                else:
                    self.problems.append(f"network {new} is not here: use --map-network")
        return found

    def _networking(self, networking: NetworkingConfig) -> NetworkingConfig:
        endpoints = networking.endpoints_config
        if not endpoints:
            return networking
        return NetworkingConfig(
            endpoints_config={self._network(name): each for name, each in endpoints.items()}
        )

    def _option_problems(self, bill: Bill, host: HostConfig) -> None:
        config = bill.container.config
        for check in (
            lambda: refusals.check(config, host),
            lambda: checks.check(config, host, self._here.facts),
            lambda: points.collect(host.binds or (), host.mounts or (), host.tmpfs),
        ):
            with self._telling():
                check()

    def _telling(self) -> _Telling:
        return _Telling(self.problems)


class _Telling:
    """While entered, what is refused is told with the rest."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, LadingError):
            self._problems.append(str(error))
            return True
        return False


def _state(bill: Bill) -> StateRecord:
    """A container that has run is one that was stopped when it was captured."""
    cargo = bill.container
    if not cargo.started_at:
        return StateRecord()
    return StateRecord(
        status=State.EXITED,
        exit_code=0 if cargo.was_running else cargo.exit_code,
        started_at=cargo.started_at,
        finished_at=bill.created if cargo.was_running else cargo.finished_at,
        stopped_by_user=True,
    )
