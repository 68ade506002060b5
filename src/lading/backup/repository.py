"""A registry's repository as a place: backups are its tags, and the registry frees the blobs.

There are no locks at a registry, and no change of several tags at once: each backup is whole
by itself.  A manifest is taken only where all that it names is there.
"""

from __future__ import annotations

import io
import weakref
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, cast

import msgspec

from lading.backup.far import FarBlob, Lent, checked
from lading.backup.place import DamagedAtTarget, Rename
from lading.errors import Corrupt, Invalid, LadingError, NotFound, Unavailable, Unsupported
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.registry.credentials import Credentials
from lading.registry.failures import Refusal, of_response
from lading.registry.message import Broken, Request
from lading.registry.remote import Repository
from lading.registry.remotes import Remotes
from lading.registry.sides import is_document
from lading.registry.upload import upload

_AT_ONCE = 8  # manifests that are asked for
_SKIP = 256 * 1024


class CannotRemove(Unsupported):
    """Raised where a registry keeps what it has."""

    def __init__(self, where: str, told: str) -> None:
        super().__init__(
            f"{where} does not let backups be removed: {told}; allow it there "
            "(docker-registry: storage.delete.enabled), or leave pruning to the registry"
        )


class RegistryPlace:
    """The `Place` that is a repository; its connections end with it."""

    def __init__(self, remotes: Remotes, reference: Reference, credentials: Credentials) -> None:
        self._where = reference.repository
        with ExitStack() as stack:
            found = stack.enter_context(remotes.repository(reference, credentials))
            self._repository: Repository = found
            weakref.finalize(self, stack.pop_all().close)
        self._documents: dict[Digest, tuple[Descriptor, bytes]] = {}

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if is_document(descriptor):
            return io.BytesIO(self._document(descriptor))
        if not self._repository.has_blob(descriptor):
            raise DamagedAtTarget(descriptor, "is missing, or has another size")
        blob = FarBlob(descriptor.size, lambda at, length: self._range(descriptor, at, length))
        return cast(BinaryIO, blob)

    def has(self, descriptor: Descriptor) -> bool:
        if is_document(descriptor):
            return self._repository.find(descriptor.digest) == descriptor.digest
        return self._repository.has_blob(descriptor)

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        with checked(stream, descriptor) as local:
            if is_document(descriptor):
                content = local.read()
                self._repository.put_manifest(descriptor.digest, descriptor, content)
                return
            begin = local.tell()

            def again() -> BinaryIO:
                local.seek(begin)
                return io.BufferedReader(Lent(local), _SKIP)

            upload(self._repository, descriptor, again)

    def names(self) -> Mapping[str, tuple[Descriptor, str]]:
        try:
            tags = list(self._repository.tags())
        except NotFound:
            return {}  # nobody has pushed there yet
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = zip(tags, pool.map(self._named, tags), strict=True)
            return {tag: each for tag, each in found if each is not None}

    def rename(self, change: Rename, artifact_type: str) -> None:
        before = {tag: descriptor for tag, (descriptor, _) in self.names().items()}
        wanted = change(before)
        made: list[str] = []
        try:
            for tag, descriptor in wanted.items():
                if descriptor is not None and before.get(tag) != descriptor:
                    content = self._document(descriptor)
                    self._repository.put_manifest(tag, descriptor, content)
                    made.append(tag)
        except LadingError:
            for tag in made:
                with suppress(LadingError):
                    self._repository.delete(tag)
            raise
        gone = {tag for tag, descriptor in wanted.items() if descriptor is None} & before.keys()
        kept = {before[tag].digest for tag in before.keys() - gone}
        for tag in sorted(gone):
            self._remove(tag, before[tag], alone=before[tag].digest not in kept)

    @contextmanager
    def held(self, *, alone: bool = False) -> Iterator[None]:
        """The registry itself keeps young blobs from being freed."""
        yield

    def sweep(self, needed: Collection[Digest]) -> tuple[int, int]:
        """Nothing: what no manifest names the registry frees when it collects garbage."""
        return 0, 0

    def _named(self, tag: str) -> tuple[Descriptor, str] | None:
        """What a tag names; None where it went away meanwhile, or is nothing of ours."""
        try:
            digest = self._repository.find(tag)
            if digest is None or digest not in self._documents:
                descriptor, content = self._repository.manifest(digest or tag)
                digest = descriptor.digest
                self._documents[digest] = descriptor, content
        except (NotFound, Invalid, Corrupt, Unsupported):
            return None
        descriptor, content = self._documents[digest]
        return descriptor, _artifact_type(content)

    def _document(self, descriptor: Descriptor) -> bytes:
        try:
            _, content = self._repository.manifest(descriptor.digest)
        except NotFound:
            raise DamagedAtTarget(descriptor, "is missing") from None
        return content

    def _remove(self, tag: str, descriptor: Descriptor, *, alone: bool) -> None:
        """Take the tag away, by its manifest where no other tag has that."""
        try:
            self._repository.delete(descriptor.digest if alone else tag)
        except NotFound:
            return
        except Refusal as error:
            if error.status == 405 or isinstance(error, Unsupported) or not alone:
                raise CannotRemove(self._where, str(error)) from None
            raise

    def _range(self, descriptor: Descriptor, at: int, length: int) -> bytes:
        tries = self._repository.wire.patience.tries
        for left in reversed(range(tries)):
            try:
                return self._once(descriptor, at, length)
            except Broken:
                if not left:
                    raise
        raise Unavailable(f"{self._where} was not asked")

    def _once(self, descriptor: Descriptor, at: int, length: int) -> bytes:
        repository = self._repository
        url = repository.url(f"blobs/{descriptor.digest}")
        request = Request("GET", url, {"Range": f"bytes={at}-{at + length - 1}"})
        response = repository.wire.ask(request, repository.scope("pull"))
        if response.status == 404:
            response.body.close()
            raise DamagedAtTarget(descriptor, "is missing")
        if response.status not in (200, 206):
            raise of_response(response)
        skipped = 0 if response.status == 206 else at  # it does not do ranges
        try:
            while skipped and (piece := response.body.read(min(skipped, _SKIP))):
                skipped -= len(piece)
            found = b""
            while len(found) < length and (piece := response.body.read(length - len(found))):
                found += piece
        finally:
            response.body.close()
        return found


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    artifact_type: str = ""


def _artifact_type(content: bytes) -> str:
    try:
        return msgspec.json.decode(content, type=_Kind).artifact_type
    except msgspec.MsgspecError:
        return ""
