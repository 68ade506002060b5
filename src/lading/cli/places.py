"""The places that ``image copy`` knows, by the words that users name them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import BinaryIO, cast

from lading.cli import sharing
from lading.cli.client import Client, documents
from lading.cli.faults import Fault
from lading.cli.upload import Body, posted
from lading.image import transfer
from lading.image.transfer import Source
from lading.oci.descriptor import Descriptor
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.crossing import carry
from lading.registry.places import archiving, layout, tarball
from lading.registry.places.layout import Layout
from lading.registry.remotes import Remotes
from lading.registry.sides import RegistryTarget
from lading.store.blobs import UnexpectedContent

_SCHEMES = ("docker://", "oci:", "docker-archive:", "docker-daemon:")
_DOCKER = "unix:///var/run/docker.sock"
_PIECE = 1024 * 1024

Way = Callable[[str], Remotes]
Clients = Callable[[str], Client]


class Place:
    """One place: its kind (empty for the library) and the words after it."""

    def __init__(self, text: str) -> None:
        self.kind = next((each for each in _SCHEMES if text.startswith(each)), "")
        self.rest = text.removeprefix(self.kind)
        if not self.rest:
            raise Fault(f"invalid place: {text!r}: a name is missing")

    def split(self) -> tuple[str, str]:
        """Path and name of an archive: ``PATH[:NAME]``."""
        path, _, name = self.rest.partition(":")
        return path, name


class Copier:
    """Copies between places; *way* leads to registries, *engine* to this host's engines."""

    def __init__(self, way: Way, engine: Clients, platform: Platform | None) -> None:
        """Without *platform* all that an index names is copied."""
        self._way, self._engine, self._platform = way, engine, platform

    def copy(self, source: Place, target: Place) -> Descriptor:
        """What was copied."""
        with self._source(source) as (found, root):
            if self._platform is not None:
                root = transfer.select(found, root, self._platform)
            self._deliver(found, root, target)
        return root

    @contextmanager
    def _source(self, place: Place) -> Iterator[tuple[Source, Descriptor]]:
        with ExitStack() as stack:
            if place.kind == "docker://":
                name = sharing.complete(place.rest)
                login = sharing.login(name.domain)
                remote = stack.enter_context(self._way(name.domain).source(name, login))
                yield remote, remote.resolve()
            elif place.kind == "oci:":
                folder, tag = layout.split(place.rest)
                found = Layout(folder)
                yield found, found.find(tag)
            else:
                path, tag = self._archive(place, stack)
                archive = stack.enter_context(tarball.opened(path))
                yield archive, archive.find(tag)

    def _archive(self, place: Place, stack: ExitStack) -> tuple[Path, str]:
        """An archive's path; an engine's image is saved to one first."""
        if place.kind == "docker-archive:":
            path, name = place.split()
            return Path(path), name
        part = Path(stack.enter_context(TemporaryDirectory(prefix="lading-copy-"))) / "saved"
        query = {"names": [place.rest]}
        with part.open("wb") as out:
            for piece in self._client(place).ask("GET", "/images/get", query).pieces():
                out.write(piece)
        return part, ""

    def _deliver(self, source: Source, root: Descriptor, place: Place) -> None:
        if place.kind == "docker://":
            self._to_registry(source, root, sharing.complete(place.rest))
        elif place.kind == "oci:":
            folder, tag = layout.split(place.rest)
            target = Layout(folder)
            carry(source, target, root)
            target.name(root, tag)
        elif place.kind == "docker-archive:":
            path, name = place.split()
            names = (sharing.complete(name),) if name else ()
            self._to_file(source, root, names, path)
        else:
            self._to_engine(source, root, sharing.complete(place.rest), place)

    def _to_registry(self, source: Source, root: Descriptor, name: Reference) -> None:
        login = sharing.login(name.domain)
        with self._way(name.domain).repository(name, login) as repository:
            if name.digest is not None and name.digest != root.digest:
                raise UnexpectedContent(name.digest, root.digest)
            carry(source, RegistryTarget(repository, name.tag, root.digest, source), root)

    def _to_file(
        self, source: Source, root: Descriptor, names: tuple[Reference, ...], path: str
    ) -> None:
        """The archive appears whole or not at all."""
        part = Path(f"{path}.part")
        try:
            with part.open("xb") as out:
                archiving.write(source, root, names, out)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _to_engine(self, source: Source, root: Descriptor, name: Reference, place: Place) -> None:
        with NamedTemporaryFile(prefix="lading-copy-") as part:
            archiving.write(source, root, (name,), part)
            part.flush()
            length = part.tell()
            part.seek(0)
            body = Body(lambda write: _send(cast(BinaryIO, part), write), length=length)
            client = self._client(place)
            with posted(
                client, "/images/load", {"quiet": True}, body, on_sent=lambda n: None
            ) as answer:
                for line in documents(answer):
                    if "error" in line:
                        raise Fault(str(line["error"]))

    def _client(self, place: Place) -> Client:
        return self._engine(_DOCKER if place.kind == "docker-daemon:" else "")


def _send(stream: BinaryIO, write: Callable[[bytes], None]) -> None:
    while piece := stream.read(_PIECE):
        write(piece)


def found(platform: str, *, every: bool) -> Platform | None:
    """Which of an index's images are meant; Fault."""
    if every and platform:
        raise Fault("conflicting options: --platform and --all-platforms")
    if every:
        return None
    return Platform.parse(platform) if platform else Platform.of_host()
