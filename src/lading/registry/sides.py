"""A repository as a place that images are carried from and to."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar, cast

from lading.errors import Denied, LadingError, NotFound, Unavailable
from lading.image.transfer import Source
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES
from lading.oci.reference import Reference
from lading.registry.failures import ManifestNotFound, PullDenied, Refusal
from lading.registry.remote import Repository, check_digest, is_missing
from lading.registry.upload import mount, upload

_LOG = logging.getLogger(__name__)
_DOCUMENTS = mediatypes.MANIFESTS | mediatypes.INDEXES

T = TypeVar("T")
Places = Callable[[Digest], Sequence[str]]
MountTold = Callable[[Descriptor, str], None]


def is_document(descriptor: Descriptor) -> bool:
    """Whether it is kept among the manifests rather than the blobs."""
    return descriptor.media_type in _DOCUMENTS


class RegistrySource:
    """Where an image's blobs come from: *repositories* are asked in turn, mirrors first."""

    def __init__(self, repositories: Sequence[Repository], reference: Reference) -> None:
        self._repositories, self._reference = repositories, reference
        self._documents: dict[Digest, bytes] = {}

    def resolve(self) -> Descriptor:
        """What the reference names now; ManifestNotFound, PullDenied, Unreachable."""
        wanted = self._reference.digest or self._reference.tag
        return self._first(lambda repository: self._fetch(repository, wanted))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if not is_document(descriptor):
            return cast(BinaryIO, self._first(lambda each: each.open_blob(descriptor)))
        if descriptor.digest not in self._documents:
            self._first(lambda each: self._fetch(each, descriptor.digest))
        return io.BytesIO(self._documents[descriptor.digest])

    def find(self, tag: str) -> Digest | None:
        """The digest that a tag has, without sending for it; None for none."""
        return self._first(lambda each: each.find(tag))

    def tags(self) -> list[str]:
        """Every tag of the repository."""
        return self._first(lambda each: list(each.tags()))

    def _fetch(self, repository: Repository, name: Digest | str) -> Descriptor:
        descriptor, content = repository.manifest(name)
        self._documents[descriptor.digest] = content
        return descriptor

    def _first(self, ask: Callable[[Repository], T]) -> T:
        """The first answer; what a mirror does not have the next is asked for."""
        *mirrors, home = self._repositories
        for repository in mirrors:
            try:
                return ask(repository)
            except (NotFound, Denied, Unavailable) as error:
                _LOG.info("mirror %s: %s", repository.wire.endpoint.authority, error)
        try:
            return ask(home)
        except Refusal as error:
            raise _told(error, self._reference) from None


class RegistryTarget:
    """Where an image's blobs go; the root gets the reference's tag, if it has one.

    *source* is asked again for what broke off on the way.  *others* says in which
    repositories of the same registry a blob may lie already.
    """

    def __init__(
        self,
        repository: Repository,
        tag: str,
        root: Digest,
        source: Source,
        *,
        others: Places = lambda digest: (),
        on_mount: MountTold = lambda descriptor, source: None,
    ) -> None:
        self._repository, self._tag, self._root = repository, tag, root
        self._source = source
        self._others, self._on_mount = others, on_mount
        self._there: set[Digest] = set()
        self._lock = threading.Lock()

    def has(self, descriptor: Descriptor) -> bool:
        if descriptor.digest in self._there:
            return True
        if is_document(descriptor):
            found = self._has_document(descriptor)
        else:
            found = self._repository.has_blob(descriptor) or self._mounted(descriptor)
        if found:
            self._keep(descriptor)
        return found

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        if is_document(descriptor):
            self._put(descriptor, stream.read(MOST_BYTES + 1))
        else:
            streams = [stream]  # and then others: a connection may break

            def opened() -> BinaryIO:
                return streams.pop() if streams else self._source.open(descriptor)

            upload(self._repository, descriptor, opened)
        self._keep(descriptor)

    def _has_document(self, descriptor: Descriptor) -> bool:
        if descriptor.digest == self._root and self._tag:
            return self._repository.find(self._tag) == descriptor.digest
        return self._repository.find(descriptor.digest) == descriptor.digest

    def _put(self, descriptor: Descriptor, content: bytes) -> None:
        check_digest(descriptor.digest, content)
        name = self._tag if descriptor.digest == self._root and self._tag else descriptor.digest
        self._repository.put_manifest(name, descriptor, content)

    def _mounted(self, descriptor: Descriptor) -> bool:
        for source in self._others(descriptor.digest):
            if mount(self._repository, descriptor, source):
                self._on_mount(descriptor, source)
                return True
        return False

    def _keep(self, descriptor: Descriptor) -> None:
        with self._lock:
            self._there.add(descriptor.digest)


def _told(error: Refusal, reference: Reference) -> LadingError:
    """What a registry's refusal to be read means, in Docker's words."""
    if error.status in (401, 403) or error.code in ("DENIED", "UNAUTHORIZED", "NAME_UNKNOWN"):
        return PullDenied(reference.familiar_name, str(error))
    if is_missing(error):
        return ManifestNotFound(reference.familiar, str(error))
    return error
