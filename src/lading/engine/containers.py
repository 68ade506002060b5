"""What can be done with containers, verb by verb; each is carried out by one of the crew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from lading.container import processes
from lading.container.archive import OnStat, PathStat
from lading.container.commit import CommitRequest, Committed
from lading.container.files import Sizes
from lading.container.options import CreateRequest, EndpointSettings, UpdateRequest
from lading.container.record import Container
from lading.container.waiting import Cancel, OnEnd, OnSocket
from lading.container.watching import NotRunning
from lading.engine.crew import Crew
from lading.events import Bus
from lading.layer.change import Change
from lading.layer.pack import Output
from lading.linux.cgroups import Group
from lading.oci.platform import Platform
from lading.runtime.oci import Runtime


class Containers:
    """The containers of this engine; safe to use from any thread.

    *ref* is an ID, a name or the unique beginning of an ID; ContainerNotFound otherwise.
    """

    def __init__(self, crew: Crew, runtime: Runtime, bus: Bus) -> None:
        self._crew, self._runtime, self._bus = crew, runtime, bus

    def list(self) -> Sequence[Container]:
        """All of them, the newest first."""
        return [slot.container for slot in self._crew.roster.slots()]

    def get(self, ref: str) -> Container:
        return self._crew.roster.find(ref).container

    # Their life.

    def create(
        self, name: str | None, request: CreateRequest, platform: Platform | None = None
    ) -> tuple[Container, Sequence[str]]:
        return self._crew.creator.create(name, request, platform)

    def start(self, ref: str) -> bool:
        return self._crew.control.start(ref)

    def stop(self, ref: str, *, timeout: int | None = None, signal: str | None = None) -> bool:
        return self._crew.control.stop(ref, timeout=timeout, signal_name=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        self._crew.control.restart(ref, timeout=timeout, signal_name=signal)

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        self._crew.control.kill(ref, signal)

    def pause(self, ref: str) -> None:
        self._crew.control.pause(ref)

    def unpause(self, ref: str) -> None:
        self._crew.control.unpause(ref)

    def rename(self, ref: str, name: str) -> None:
        self._crew.changer.rename(ref, name)

    def connect(self, ref: str, network: str, settings: EndpointSettings) -> None:
        self._crew.connector.connect(network, ref, settings)

    def disconnect(self, ref: str, network: str, *, force: bool = False) -> None:
        self._crew.connector.disconnect(network, ref, force=force)

    def update(self, ref: str, asked: UpdateRequest) -> Sequence[str]:
        return self._crew.changer.update(ref, asked)

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        self._crew.clearer.remove(ref, force=force, volumes=volumes)

    def prune(self, filters: Mapping[str, Sequence[str]]) -> tuple[Sequence[str], int]:
        ids, size = self._crew.clearer.prune(filters, lambda each: self.sizes(each.id).rw)
        self._bus.publish("container", "prune", "", {"reclaimed": str(size)})
        return ids, size

    # Their streams and processes.

    def watch(self, ref: str, condition: str, tell: OnEnd) -> Cancel:
        return self._crew.watcher.watch(ref, condition, tell)

    def attach(self, ref: str, on_socket: OnSocket) -> Cancel:
        cancel = self._crew.watcher.attach(ref, on_socket)
        self._crew.tell(ref, "attach")
        return cancel

    def detached(self, ref: str) -> None:
        """A client has left by its keys; the container goes on."""
        self._crew.tell(ref, "detach")

    def resize(self, ref: str, rows: int, columns: int) -> None:
        self._crew.watcher.resize(ref, rows, columns)
        self._crew.tell(ref, "resize", height=str(rows), width=str(columns))

    def log_files(self, ref: str) -> Sequence[Path]:
        return self._crew.logs.files(self.get(ref))

    def group(self, ref: str) -> Group:
        return self._runtime.group(self.get(ref).id)

    def top(self, ref: str, arguments: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Titles and rows of ``ps`` for its processes; NotRunning."""
        container = self.get(ref)
        if not container.running:
            raise NotRunning(container.id)
        table = processes.table(self.group(container.id).processes(), arguments)
        self._crew.tell(container.id, "top")
        return table

    # Their files.

    def sizes(self, ref: str) -> Sizes:
        return self._crew.files.sizes(ref)

    def changes(self, ref: str) -> Sequence[Change]:
        return self._crew.files.changes(ref)

    def export(self, ref: str, out: Output) -> None:
        self._crew.tell(ref, "export")
        self._crew.files.export(ref, out)

    def archive_stat(self, ref: str, path: str) -> PathStat:
        return self._crew.files.stat(ref, path)

    def archive_get(self, ref: str, path: str, out: Output, *, on_stat: OnStat) -> None:
        self._crew.files.get(ref, path, out, on_stat=on_stat)
        self._crew.tell(ref, "archive-path", path=path)

    def archive_put(
        self,
        ref: str,
        path: str,
        stream: BinaryIO,
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        self._crew.files.put(
            ref,
            path,
            stream,
            no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
            copy_uid_gid=copy_uid_gid,
        )
        self._crew.tell(ref, "extract-to-dir", path=path)

    def commit(self, ref: str, request: CommitRequest) -> Committed:
        return self._crew.committer.commit(ref, request)
