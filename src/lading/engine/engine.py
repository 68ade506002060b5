"""One engine: everything below one root, taken up from where the engine before it was cut off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from lading.build.cache import Cache
from lading.container.roster import Roster
from lading.engine import builds, root
from lading.engine.containers import Containers
from lading.engine.crew import Crew, Ground, containers_of, volume_users
from lading.engine.fsck import Fsck
from lading.engine.images import Images
from lading.engine.sharing import Sharing
from lading.engine.system import Storage, System
from lading.events import Bus
from lading.image.library import Library
from lading.network.networks import Networks
from lading.oci.digest import Digest
from lading.registry import hosts
from lading.registry.remotes import Remotes
from lading.runtime import oci
from lading.settings import Settings
from lading.snapshot.choose import choose
from lading.store.blobs import BlobStore
from lading.store.database import Database
from lading.volume.volumes import Volumes

_LOG = logging.getLogger(__name__)


class Engine:
    """The joined parts.  `open` it before use; `close` it, or `reset` it, once."""

    def __init__(self, settings: Settings) -> None:
        """Look at the host and the root; Unsupported, Corrupt, OSError where they are of no use."""
        root.prepare(settings)
        self.settings = settings
        self.bus = Bus()
        self._trash = ThreadPoolExecutor(1, thread_name_prefix="trash")
        self._database = Database(settings.state_db)
        choice = choose(settings, self._later)
        self.snapshotter = choice.snapshotter
        runtime = oci.choose(settings)
        roster = containers_of(self._database)
        blobs = BlobStore(settings.blobs, settings.staging, settings.trash)
        cache = Cache(self._database, lambda: self.library.layers)
        self.library = Library(
            *(blobs, self._database, self.snapshotter, self.bus),
            held=lambda: _layers(roster),
            cached=cache.held,
        )
        self.networks = Networks(settings, self._database, self.bus)
        self.volumes = Volumes(settings.volumes, self._database, self.bus, self._later)
        ground = Ground(
            settings, self.bus, self.library, self.snapshotter, runtime, self.networks, self.volumes
        )
        self._crew = Crew(ground, roster)
        remotes = Remotes(lambda: _registries(settings))
        self.backups = self._crew.backups(ground, self._database, remotes)
        self.migrations = self._crew.migrations(ground, self._database)
        self.containers = Containers(self._crew, runtime, self.bus)
        self.execs = self._crew.execs
        self.images = Images(self.library, roster, self._crew.creator.is_using)
        self.sharing = Sharing(self.library, remotes)
        errands = self._crew.errands
        self.builds = builds.join(settings, self.library, errands, cache, self.sharing)
        self._runtime = runtime
        self._look(Storage(self.snapshotter.name, choice.reason))

    def _look(self, storage: Storage) -> None:
        """Those who tell what this engine is, and whether it is whole."""
        settings = self.settings
        self.system = System(
            *(settings, self._database, self._runtime, storage),
            containers=self.containers.list,
            count_images=lambda: len(self.library.catalogue.ids()),
        )
        self.fsck = Fsck(
            *(settings, self._database, self.library),
            containers=self.containers.list,
            volumes=self.volumes.list,
        )
        _LOG.info("snapshotter %s: %s", storage.driver, storage.reason)

    def open(self) -> None:
        """Take up what runs, settle what ended, free what nobody needs; then serve."""
        crew = self._crew
        crew.places.make()
        live = crew.recovery.live()
        self.library.open()
        self.volumes.open()
        self.networks.open(live)
        self.builds.open()
        crew.freezer.recover(live)
        crew.execs.recover()
        crew.recovery.recover()
        self.migrations.open()
        crew.prober.open(self.bus)
        crew.logs.open()

    def close(self) -> None:
        """Let go of everything; containers go on.  Nothing is lost when this is never called."""
        self.migrations.close()
        self._crew.logs.close()
        self._crew.prober.close()
        self._crew.supervisor.close()
        self.networks.close()
        self._trash.shutdown(wait=False, cancel_futures=True)
        self._database.close()

    def reset(self) -> None:
        """Remove every container, volume, image and network, and all that lies in the root.

        The engine is of no use afterwards; `close` it.
        """
        for container in self.containers.list():
            with suppress(Exception):  # what resists is removed with the root
                self.containers.remove(container.id, force=True, volumes=True)
        self._crew.logs.close()
        self.networks.clear()
        self._trash.shutdown(wait=True)
        self.snapshotter.close()
        self._runtime.tidy()
        root.remove(self.settings)

    def volume_users(self) -> dict[str, list[str]]:
        """The IDs of the containers that mount each volume, by its name."""
        return volume_users(self._crew.roster)

    def remove_volume(self, name: str, *, force: bool = False) -> None:
        """Remove a volume that no container mounts; VolumeNotFound, VolumeInUse."""
        self.volumes.remove(name, force=force, users=self._crew.stowage.users)

    def prune_volumes(self, filters: Mapping[str, Sequence[str]]) -> tuple[Sequence[str], int]:
        """Remove unused volumes; their names, and the bytes that freed."""
        return self.volumes.prune(filters, users=self._crew.stowage.users)

    def _later(self, job: Callable[[], None]) -> None:
        """Delete things while others go on; what is not done at the end is swept at the start."""
        with suppress(RuntimeError):  # closing
            self._trash.submit(_logged, job)


def _registries(settings: Settings) -> hosts.Registries:
    """As this host's files say at the moment, and the daemon's own options."""
    return hosts.load(insecure=settings.insecure_registries, mirrors=settings.registry_mirrors)


def _layers(roster: Roster) -> list[Digest]:
    """The layers that containers stand on, whether their image is here or not."""
    return [Digest(layer) for slot in roster.slots() for layer in slot.container.layers]


def _logged(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:
        _LOG.exception("something that was thrown away cannot be deleted")
