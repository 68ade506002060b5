"""Back up this engine's containers and restore them: `lading.backup` over its parts."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lading.backup import browsing, comparing, copying, pruning, unpacking, verifying
from lading.backup.comparing import Difference
from lading.backup.creating import Creation, Made
from lading.backup.depot import Damaged, Depot, Stored, open_depot
from lading.backup.locations import Location
from lading.backup.origin import Origin
from lading.backup.pins import Pins
from lading.backup.plan import RestoreRequest
from lading.backup.pruning import Pruned
from lading.backup.restoring import Destination, Restoration
from lading.backup.retention import Policy
from lading.backup.slots import Secret
from lading.backup.sources import BackupRequest
from lading.backup.verifying import Verified
from lading.container.execs import Execs
from lading.container.options import ExecConfig
from lading.container.record import Container
from lading.errors import Conflict, Invalid, NotFound, Unavailable
from lading.image.progress import Listener, Progress
from lading.network.networks import Networks
from lading.network.wishes import NetworkRequest, PoolRequest
from lading.registry.remotes import Remotes
from lading.store.database import Database

_HOOK_SECONDS = 600.0
_PLAIN = (
    "the target is not encrypted: backups hold environment variables and files as they are; "
    "with --passphrase-file or --key-file a new target is"
)


class HookFailed(Conflict):
    """Raised where a command before or after a backup did not succeed."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"backup hook {command[:200]!r} failed with exit code {code}")


class HookStalled(Unavailable):
    """Raised where such a command does not end."""

    def __init__(self, command: str) -> None:
        super().__init__(f"backup hook {command[:200]!r} has not ended in {_HOOK_SECONDS:.0f} s")


@dataclass(frozen=True, slots=True)
class Holding:
    """The backups at a target, the oldest first, and what is to be told of it."""

    location: Location
    backups: Sequence[Stored | Damaged]
    warnings: Sequence[str]


class Backups:
    """Everything that is done with backups; safe to use from any thread."""

    def __init__(
        self, origin: Origin, destination: Destination, database: Database, remotes: Remotes
    ) -> None:
        self._origin, self._destination, self._remotes = origin, destination, remotes
        self._pins = Pins(database)

    def create(
        self,
        location: Location,
        secret: Secret | None,
        request: BackupRequest,
        *,
        on_progress: Listener,
    ) -> list[Made]:
        """The new backups, durable on return."""
        depot = open_depot(location, secret, make=True, remotes=self._remotes)
        warnings = self._pins.check(depot)
        if depot.is_new and not depot.is_sealed:
            warnings.append(_PLAIN)
        made = Creation(self._origin, depot, request, on_progress).run(warnings)
        self._pins.keep(depot)
        return made

    def restore(
        self,
        location: Location,
        secret: Secret | None,
        tags: Sequence[str],
        request: RestoreRequest,
        *,
        on_progress: Listener,
    ) -> list[Container]:
        """The containers of those backups; without *tags*, the latest of every container."""
        depot, _ = self._open(location, secret)
        with depot.place.held():
            backups = [depot.get(tag) for tag in tags] if tags else _latest(depot)
            bills = [backup.bill for backup in backups]
            restoration = Restoration(self._destination, depot, request, on_progress)
            containers = restoration.run(bills)
        if request.start:
            restoration.start(containers)
        return containers

    def holding(self, location: Location, secret: Secret | None) -> Holding:
        """What a target holds."""
        depot, warnings = self._open(location, secret)
        return Holding(location, depot.all(), warnings)

    def show(self, location: Location, secret: Secret | None, tag: str) -> Stored:
        """One backup; NoSuchBackup, Corrupt."""
        return self._open(location, secret)[0].get(tag)

    def files(self, location: Location, secret: Secret | None, tag: str) -> list[browsing.Listed]:
        """Its files."""
        depot, _ = self._open(location, secret)
        return list(browsing.files(depot, depot.get(tag)))

    def cat(
        self, location: Location, secret: Secret | None, tag: str, path: str
    ) -> Iterator[bytes]:
        """The content of one of them."""
        depot, _ = self._open(location, secret)
        return browsing.cat(depot, depot.get(tag), path)

    def diff(
        self, old: tuple[Location, str], new: tuple[Location, str], secret: Secret | None
    ) -> list[Difference]:
        """What changed from one backup to another."""
        depots = [self._open(location, secret)[0] for location, _ in (old, new)]
        before, after = depots[0].get(old[1]).bill, depots[1].get(new[1]).bill
        found = list(comparing.options(before, after))
        for kind, name in comparing.parts(before, after):
            parts = (before.part(kind, name), after.part(kind, name))
            trees = [d.tree(part) if part else None for d, part in zip(depots, parts, strict=True)]
            found += comparing.trees(f"{kind} {name}".strip(), *trees)
        return found

    def verify(
        self,
        location: Location,
        secret: Secret | None,
        tags: Sequence[str],
        *,
        read_data: bool,
        on_progress: Listener,
    ) -> tuple[Verified, Sequence[str]]:
        """Whether backups are whole; and warnings of what is gone."""
        depot, warnings = self._open(location, secret)
        seen = 0

        def count(size: int) -> None:
            nonlocal seen
            seen += size
            on_progress(Progress("verify", "Verifying", seen, 0))

        return verifying.verify(depot, tags, read_data=read_data, on_bytes=count), warnings

    def prune(
        self, location: Location, secret: Secret | None, policy: Policy, *, dry_run: bool
    ) -> Pruned:
        """Remove what the policy does not keep."""
        depot, _ = self._open(location, secret)
        pruned = pruning.prune(depot, policy, dry_run=dry_run)
        if not dry_run:
            self._pins.keep(depot)
        return pruned

    def unpack(
        self, location: Location, secret: Secret | None, tag: str, folder: Path
    ) -> list[Path]:
        """A backup in forms that need no lading."""
        depot, _ = self._open(location, secret)
        return unpacking.unpack(depot, depot.get(tag), folder)

    def copy(self, location: Location, secret: Secret | None, tag: str, to: Location) -> int:
        """Carry a backup to another target; the bytes that were new there."""
        depot, _ = self._open(location, secret)
        return copying.copy(depot, tag, to, remotes=self._remotes)

    def _open(self, location: Location, secret: Secret | None) -> tuple[Depot, list[str]]:
        depot = open_depot(location, secret, remotes=self._remotes)
        return depot, self._pins.check(depot)


def hooks(execs: Execs) -> Callable[[str, str], None]:
    """Run a command in a container by its shell, and wait for it; HookFailed, HookStalled."""

    def run(container_id: str, command: str) -> None:
        exec_id = execs.create(container_id, ExecConfig(cmd=["sh", "-c", command]))
        ended, codes = threading.Event(), list[int]()

        def has_ended(code: int) -> None:
            codes.append(code)
            ended.set()

        execs.start(exec_id, None)
        cancel = execs.watch(exec_id, has_ended)
        try:
            if not ended.wait(_HOOK_SECONDS):
                raise HookStalled(command)
        finally:
            cancel()
        if codes[0]:
            raise HookFailed(command, codes[0])

    return run


def network_maker(networks: Networks) -> Callable[[Mapping[str, Any]], Callable[[], None]]:
    """Make the network that a bill describes: with its subnet, or where it may be, a free one."""

    def make(told: Mapping[str, Any]) -> Callable[[], None]:
        wish = _Network.read(told)
        try:
            made = networks.create(wish.request(same_subnet=True))
        except Conflict:
            if wish.configured:
                raise
            made = networks.create(wish.request(same_subnet=False))
        return lambda: _removed(networks, made.id)

    return make


def _removed(networks: Networks, network_id: str) -> None:
    networks.remove(network_id)


class _Network(msgspec.Struct, frozen=True):
    """What of a network in a bill is made again."""

    name: str
    driver: str = "bridge"
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    configured: bool = False
    ip_range: str = ""
    reserved: dict[str, str] = {}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> _Network:
        try:
            return msgspec.convert(dict(told), cls)
        except msgspec.ValidationError as error:
            raise Invalid(f"the backup describes a network that cannot be: {error}") from None

    def request(self, *, same_subnet: bool) -> NetworkRequest:
        pool = PoolRequest(self.subnet, self.gateway, self.ip_range, self.reserved)
        return NetworkRequest(
            self.name,
            driver=self.driver,
            internal=self.internal,
            labels=self.labels,
            options=self.options,
            pools=(pool,) if same_subnet and self.subnet else (),
        )


def is_port_free(address: str, number: int, protocol: str) -> bool:
    """Whether nobody on this host has the port now."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, number))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def exists(find: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether *find* finds something of that name."""

    def answer(name: str) -> bool:
        try:
            find(name)
        except NotFound:
            return False
        return True

    return answer


def _latest(depot: Depot) -> list[Stored]:
    """The latest backup of every container, by its name."""
    found = {backup.bill.container.name: backup for backup in depot.stored()}
    if not found:
        raise NotFound(f"{depot.location.text} holds no backups")
    return list(found.values())
