"""The parts of `lading.container` joined over this engine's storage, runtime and network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lading.backup.departures import Departures
from lading.backup.hosting import Hosting
from lading.backup.origin import Origin
from lading.backup.plan import Here
from lading.backup.restoring import Destination
from lading.container.announcing import Announcer
from lading.container.changing import Changer
from lading.container.clearing import Clearer
from lading.container.commit import Committer
from lading.container.connecting import Connector
from lading.container.control import Control
from lading.container.creation import Creator
from lading.container.ending import Ender
from lading.container.errands import Errands
from lading.container.execs import Execs
from lading.container.files import Files
from lading.container.freezing import Freezer
from lading.container.log_keeping import LogKeeper
from lading.container.placement import Facts
from lading.container.places import Places
from lading.container.probing import Prober
from lading.container.record import Container
from lading.container.recovery import Recovery
from lading.container.removal import Remover
from lading.container.rootfs import Roots
from lading.container.roster import Roster, Slot
from lading.container.starting import Starter
from lading.container.stowage import Stowage
from lading.container.supervisor import Supervisor
from lading.container.view import Views
from lading.container.watching import Watcher
from lading.engine.backups import Backups, exists, hooks, is_port_free, network_maker
from lading.engine.migrations import Migrations
from lading.events import Bus
from lading.image.library import Library
from lading.linux.cgroups import Hierarchies, Layout
from lading.network.networks import Networks
from lading.registry.remotes import Remotes
from lading.runtime.conmon import Launched
from lading.runtime.oci import Runtime
from lading.settings import Settings
from lading.snapshot.protocol import Snapshotter
from lading.store.database import Database
from lading.store.records import Records
from lading.volume.volumes import Volumes

_CPUS = Path("/sys/devices/system/cpu")
_ONLINE = Path("/sys/devices/system/cpu/online")


@dataclass(frozen=True, slots=True)
class Ground:
    """What containers stand on."""

    settings: Settings
    bus: Bus
    library: Library
    snapshotter: Snapshotter
    runtime: Runtime
    networks: Networks
    volumes: Volumes


class Crew:
    """Everything that works on containers, made once and wired to each other."""

    def __init__(self, ground: Ground, roster: Roster) -> None:
        self.roster = roster
        for slot in roster.slots():
            ground.runtime.place(slot.container.id, slot.container.host.cgroup_parent)
        self.supervisor = Supervisor()
        self.places = Places(ground.settings)
        self._announcer = Announcer(ground.bus)
        self._roots = Roots(ground.settings.containers, ground.snapshotter)
        self.stowage = Stowage(ground.volumes, self._users_of)
        self._live(ground)
        self._look_after(ground)
        self._read(ground)

    def _live(self, ground: Ground) -> None:
        """Those who begin and end containers."""
        runtime, networks, announcer = ground.runtime, ground.networks, self._announcer
        places, roster, roots, stowage = self.places, self.roster, self._roots, self.stowage
        self.execs = Execs(places, roster, runtime, self.supervisor, announcer)
        self._remover = Remover(
            *(places, roster, roots, stowage, ground.snapshotter),
            runtime=runtime,
            announcer=announcer,
            on_removed=self.execs.forget,
        )
        self._ender = Ender(
            *(places, roster, roots, stowage, runtime),
            networks=networks,
            announcer=announcer,
            remover=self._remover,
        )
        starter = Starter(
            *(places, roster, roots, stowage, runtime),
            networks=networks,
            supervisor=self.supervisor,
            announcer=announcer,
            on_end=self._has_ended,
        )
        self.control = Control(*(roster, starter, self._ender, self.supervisor, runtime, announcer))

    def _look_after(self, ground: Ground) -> None:
        """Those who make them, change them and clear them away."""
        settings, runtime, roster = ground.settings, ground.runtime, self.roster
        facts = facts_of(runtime)
        self.recovery = Recovery(
            *(self.places, roster, self._roots, runtime),
            supervisor=self.supervisor,
            control=self.control,
            ender=self._ender,
            remover=self._remover,
        )
        self.creator = Creator(
            *(roster, ground.library, ground.snapshotter, self.stowage, self._announcer),
            facts=facts,
            containers=settings.containers,
            find_network=ground.networks.find,
        )
        self.errands = Errands(
            *(self.places, roster, self._roots, ground.snapshotter, runtime),
            networks=ground.networks,
            facts=facts,
        )
        self.changer = Changer(
            *(roster, runtime, self._announcer, facts), on_rename=ground.networks.rename
        )
        self.prober = Prober(roster, self.execs, self.supervisor, self._announcer)
        self.connector = Connector(roster, ground.networks, self.places)
        self.clearer = Clearer(roster, self.control, self._remover)
        self.logs = LogKeeper(
            *(self.places, roster),
            most_bytes=settings.log_max_bytes,
            most_files=settings.log_max_files,
        )

    def _read(self, ground: Ground) -> None:
        """Those who look into them."""
        library, places, roster, roots = ground.library, self.places, self.roster, self._roots
        self.watcher = Watcher(places, roster)
        self.freezer = Freezer(ground.runtime, places, self._announcer)
        self.files = Files(
            *(roster, Views(roots, self.stowage), roots, ground.snapshotter, places),
            layer_size=library.layers.expanded_size,
        )
        self.committer = Committer(
            *(roster, roots, ground.snapshotter, library, self.freezer, places, self._announcer),
            volume_size=ground.volumes.size_of,
        )

    def backups(self, ground: Ground, database: Database, remotes: Remotes) -> Backups:
        """Those who back up and restore."""
        return Backups(*self._sides(ground), database, remotes)

    def migrations(self, ground: Ground, database: Database) -> Migrations:
        """Those who send containers to other engines, and take theirs."""
        origin, destination = self._sides(ground)
        departures = Departures(origin, self.clearer, database)
        hosting = Hosting(
            *(destination, self.clearer, database),
            staging=ground.settings.staging,
            remove_network=ground.networks.remove,
        )
        return Migrations(origin, departures, hosting)

    def _sides(self, ground: Ground) -> tuple[Origin, Destination]:
        """The parts that are captured, and those that are restored to."""
        shared = (self.roster, self._roots, self.places, ground.snapshotter, ground.library)
        origin = Origin(
            *shared,
            ground.volumes,
            self.freezer,
            self.control,
            ground.bus,
            hooks(self.execs),
            ground.networks.find,
        )
        here = Here(
            facts_of(ground.runtime),
            lambda ref: self.roster.find(ref).container,
            exists(ground.volumes.get),
            exists(ground.networks.find),
            is_port_free,
        )
        make_network = network_maker(ground.networks)
        destination = Destination(
            *shared, ground.volumes, self.control, self._announcer, here, make_network
        )
        return origin, destination

    def tell(self, ref: str, action: str, **attributes: str) -> None:
        """Publish that something was done with a container which nobody else tells of."""
        self._announcer.tell(self.roster.find(ref).container, action, **attributes)

    def _has_ended(self, slot: Slot, launched: Launched) -> None:
        self.control.has_ended(slot, launched)

    def _users_of(self, volume: str) -> list[str]:
        """The IDs of the containers that mount the volume of that name."""
        return volume_users(self.roster).get(volume, [])


def volume_users(roster: Roster) -> dict[str, list[str]]:
    """The IDs of the containers that mount each volume, by the volume's name."""
    users: dict[str, list[str]] = {}
    for slot in roster.slots():
        for name in {point.name for point in slot.container.mounts if point.name}:
            users.setdefault(name, []).append(slot.container.id)
    return users


def containers_of(database: Database) -> Roster:
    """The containers that the database remembers."""
    roster = Roster(Records(database, "container", Container))
    roster.load()
    return roster


def facts_of(runtime: Runtime) -> Facts:
    """What options are checked against on this host."""
    hierarchies: Hierarchies = runtime.hierarchies
    return Facts(
        cpus=frozenset(_numbers(_ONLINE.read_text())),
        cpu_counters=tuple(sorted(map(str, _CPUS.glob("cpu[0-9]*/thermal_throttle")))),
        swap_accounting=hierarchies.has_swap_accounting(),
        unified=hierarchies.layout is Layout.UNIFIED,
        runtime=runtime.name,
        block_io=hierarchies.block_limits(),
    )


def _numbers(text: str) -> list[int]:
    """The kernel's ``0-3,8``: cputopology.rst."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
