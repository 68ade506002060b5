"""The parts that keep containers' files, on the real kernel, without runtime or network.

Containers are made as the engine makes them: an image, a snapshot, a record.  Where one is to
run, a process is put into its control group.
"""

from __future__ import annotations

import io
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lading.container.announcing import Announcer
from lading.container.commit import Committer
from lading.container.files import Files
from lading.container.freezing import Freezer
from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.container.places import Places
from lading.container.record import Container
from lading.container.rootfs import Roots
from lading.container.roster import Roster
from lading.container.states import State
from lading.container.stowage import Stowage
from lading.container.view import Views
from lading.events import Bus
from lading.image import flat
from lading.image.edit import Step
from lading.image.image import Image
from lading.image.library import Library
from lading.linux.cgroups import Hierarchies
from lading.linux.mounts import unmount_below
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.runtime.oci import Runtime
from lading.settings import Settings
from lading.snapshot.choose import choose
from lading.store.blobs import BlobStore
from lading.store.database import Database
from lading.store.records import Records
from lading.volume.values import MountPoint
from lading.volume.volumes import Volumes
from tarball import Tarball


class ContainerHost:
    """One root with containers on it; `close` takes everything away."""

    def __init__(self, place: Path, driver: str | None = None) -> None:
        self.settings = Settings(root=place / "root", run_root=place / "run", snapshotter=driver)
        self.settings.root.mkdir(parents=True)
        self.bus = Bus()
        self.places = Places(self.settings)
        self.places.make()
        self.snapshotter = choose(self.settings).snapshotter
        self._database = Database(self.settings.state_db)
        self.roster = Roster(Records(self._database, "container", Container))
        self.library = self._library()
        self.roots = Roots(self.settings.containers, self.snapshotter)
        self.volumes = Volumes(self.settings.volumes, self._database, self.bus)
        self.stowage = Stowage(self.volumes, self._users)
        self.runtime = self._runtime()
        self.freezer = Freezer(self.runtime, self.places, Announcer(self.bus))
        self.files = Files(
            self.roster,
            Views(self.roots, self.stowage),
            self.roots,
            self.snapshotter,
            self.places,
            layer_size=self.library.layers.expanded_size,
        )
        self.committer = Committer(
            self.roster,
            self.roots,
            self.snapshotter,
            self.library,
            self.freezer,
            self.places,
            Announcer(self.bus),
            volume_size=self.volumes.size_of,
        )

    def image(self, tar: Tarball, name: str = "base", **run: object) -> Image:
        step = Step(1_600_000_000_000_000_000, "test")
        content = io.BytesIO(tar.content)
        return flat.from_tar(self.library, content, step, run=run, reference=Reference.parse(name))

    def container(
        self,
        image: Image,
        *mounts: MountPoint,
        name: str = "web",
        config: Config | None = None,
        host: HostConfig | None = None,
    ) -> Container:
        made = Container(
            id=secrets.token_hex(32),
            name=name,
            created=time.time_ns(),
            image_id=str(image.id),
            config=config or Config(cmd=["sh"]),
            host=host or HostConfig(),
            networking=NetworkingConfig(),
            layers=[str(layer) for layer in image.diff_ids],
            driver=self.snapshotter.name,
            mounts=list(mounts),
        )
        self.roster.reserve(name, made.id)
        self.snapshotter.prepare(made.id, self.library.mountable(image))
        self.roster.add(made)
        return made

    def root(self, container: Container) -> Path:
        """The container's root, mounted until the host is closed."""
        return self.roots.hold(container.id)

    @contextmanager
    def running(self, container: Container, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process in the container's control group, and a record that says so."""
        group = self.runtime.group(container.id)
        freezer = group.directory("freezer")
        assert freezer
        freezer.mkdir(parents=True)
        process = subprocess.Popen(argv or ("sleep", "60"))
        try:
            (freezer / "cgroup.procs").write_text(str(process.pid))
            self._set_status(container, State.RUNNING)
            yield process
        finally:
            with suppress(OSError):
                group.thaw()
            process.send_signal(signal.SIGKILL)
            process.wait()
            group.destroy()
            self._set_status(container, State.EXITED)

    def close(self) -> None:
        self.runtime.hierarchies.group(self.runtime.parent).destroy()
        with ExitStack() as closing:
            closing.callback(self._database.close)
            closing.callback(unmount_below, self.settings.root)
            closing.callback(self.snapshotter.close)
            closing.callback(unmount_below, self.settings.containers)

    def _set_status(self, container: Container, status: State) -> None:
        slot = self.roster.find(container.id)
        if not slot.removed:
            slot.container = slot.container.with_state(status=status)

    def _library(self) -> Library:
        settings = self.settings
        blobs = BlobStore(settings.blobs, settings.staging, settings.trash)
        library = Library(blobs, self._database, self.snapshotter, self.bus, held=self._held)
        library.open()
        return library

    def _runtime(self) -> Runtime:
        """Only its control groups are used, so no program is looked for."""
        parent = f"/lading-{self.settings.instance}"
        state = self.settings.run_root / "runtime"
        return Runtime("none", "/bin/false", "", state, Hierarchies.read(), parent)

    def _held(self) -> list[Digest]:
        containers = [slot.container for slot in self.roster.slots()]
        return [Digest(layer) for container in containers for layer in container.layers]

    def _users(self, volume: str) -> Sequence[str]:
        containers = [slot.container for slot in self.roster.slots()]
        return [c.id for c in containers if any(p.name == volume for p in c.mounts)]
