"""Images to and from registries: pull and push, and what is asked of a registry directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lading.engine.arrivals import Arrivals, CountedTarget, Listening
from lading.errors import Invalid, NotFound
from lading.image import transfer
from lading.image.image import Image
from lading.image.library import Library
from lading.image.progress import Listener, Progress
from lading.image.repacking import repacked
from lading.image.saving import LibrarySource, check
from lading.image.target import LibraryTarget
from lading.oci import mediatypes
from lading.oci.config import ImageConfig
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Index, Manifest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry import search
from lading.registry.credentials import Credentials
from lading.registry.crossing import carry
from lading.registry.login import log_in
from lading.registry.remotes import Remotes
from lading.registry.sides import RegistrySource, RegistryTarget
from lading.store.leases import Lease

_MOST_PLACES = 3  # that a blob may be mounted from; each costs a request


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came: the image, the digest that the name had, and whether it is news here."""

    reference: Reference
    image: Image
    digest: Digest
    news: bool


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a tag names at the registry now."""

    reference: Reference
    manifest: Descriptor


class NothingToPush(NotFound):
    """Raised where no image has the name that is to be pushed, in Docker's words."""

    def __init__(self, reference: Reference, *, tags: bool) -> None:
        super().__init__(
            f"An image does not exist locally with the tag: {reference.familiar_name}"
            + ("" if tags else f":{reference.tag}")
        )


class Sharing:
    """This host's images and those of registries; safe to use from any thread."""

    def __init__(self, library: Library, remotes: Remotes) -> None:
        self._library, self._remotes = library, remotes
        self._arrivals = Arrivals()

    def pull(
        self,
        reference: Reference,
        credentials: Credentials,
        *,
        platform: Platform | None = None,
        on_progress: Listener,
    ) -> Pulled:
        """Bring an image here under its name; PullDenied, ManifestNotFound, NoSuchPlatform."""
        with self._remotes.source(
            reference, credentials, on_wait=lambda told: on_progress(Progress("", told))
        ) as source:
            return self._pull(source, reference, platform or Platform.of_host(), on_progress)

    def pull_all(
        self,
        reference: Reference,
        credentials: Credentials,
        *,
        platform: Platform | None = None,
        on_progress: Listener,
    ) -> Iterator[Pulled]:
        """Bring every tag of the repository here."""
        with self._remotes.source(reference, credentials) as source:
            tags = source.tags()
        for tag in tags:
            named = Reference(reference.domain, reference.path, tag)
            yield self.pull(named, credentials, platform=platform, on_progress=on_progress)

    def push(
        self, reference: Reference, credentials: Credentials, *, on_progress: Listener
    ) -> Pushed:
        """Send an image under one of its names; NothingToPush, DamagedImage, Denied."""
        holder = self._library.catalogue.holder(reference)
        if holder is None:
            raise NothingToPush(reference, tags=False)
        with self._library.lease() as lease:
            for layer in self._library.image(holder).manifest.layers:
                on_progress(Progress(layer.digest.short, "Preparing"))
            image = repacked(self._library, self._library.image(holder), lease)
            check(self._library, image, lease)
            self._push(image, reference, credentials, on_progress)
        self._library.bus.publish(
            "image", "push", reference.familiar, {"name": reference.familiar_name}
        )
        return Pushed(reference, image.manifest.descriptor)

    def push_all(
        self, reference: Reference, credentials: Credentials, *, on_progress: Listener
    ) -> Iterator[Pushed]:
        """Send every tag of the repository that is here; NothingToPush."""
        names = [
            name
            for names in self._library.catalogue.names().values()
            for name in names
            if name.tag and name.repository == reference.repository
        ]
        if not names:
            raise NothingToPush(reference, tags=True)
        for name in sorted(names):
            yield self.push(name, credentials, on_progress=on_progress)

    def look_up(
        self, reference: Reference, credentials: Credentials
    ) -> tuple[Descriptor, Sequence[Platform]]:
        """What a name means at its registry, and for which platforms it is."""
        with self._remotes.source(reference, credentials) as source:
            root = source.resolve()
            if root.media_type in mediatypes.INDEXES:
                index = Index.parse(transfer.read(source, root))
                return root, [platform for _, platform in index.manifests if platform]
            manifest = Manifest.parse(transfer.read(source, root))
            return root, list(_platforms(source, manifest))

    def log_in(self, domain: str, credentials: Credentials) -> str:
        """See that a registry takes the login; the token to keep instead of the password."""
        with self._remotes.wire(domain, credentials) as wire:
            return log_in(wire)

    def search(self, term: str, credentials: Credentials, *, most: int) -> Sequence[search.Result]:
        """What a registry has that is called like *term*, which may begin with its host."""
        domain, words = search.parse(term)
        with self._remotes.wire(domain, credentials) as wire:
            return search.search(wire, words, most)

    def _pull(
        self,
        source: RegistrySource,
        reference: Reference,
        platform: Platform,
        on_progress: Listener,
    ) -> Pulled:
        root = source.resolve()
        label = reference.tag or str(reference.digest)
        on_progress(Progress(label, f"Pulling from {reference.path}"))
        chosen = transfer.select(source, root, platform)
        if chosen.media_type not in mediatypes.MANIFESTS:
            raise Invalid(f"not a container image: {chosen.media_type[:100]!r}")
        name = reference
        if reference.digest is not None:
            name = Reference(reference.domain, reference.path, "", reference.digest)
        before = self._library.catalogue.holder(name)
        with self._library.lease() as lease:
            image = self._bring(source, chosen, name, lease, on_progress)
        self._library.bus.publish("image", "pull", name.familiar, {"name": reference.familiar_name})
        return Pulled(name, image, root.digest, before != image.id)

    def _bring(
        self,
        source: RegistrySource,
        chosen: Descriptor,
        name: Reference,
        lease: Lease,
        on_progress: Listener,
    ) -> Image:
        target = LibraryTarget(self._library, lease, (name,))
        for layer in Manifest.parse(transfer.read(source, chosen)).layers:
            on_progress(Progress(layer.digest.short, "Pulling fs layer"))
        listening = Listening(self._arrivals, source, on_progress)
        carry(listening, target, chosen, turn=listening.turn)
        assert target.image is not None
        return target.image

    def _push(
        self, image: Image, reference: Reference, credentials: Credentials, on_progress: Listener
    ) -> None:
        source = LibrarySource(self._library)
        with self._remotes.repository(
            reference, credentials, on_wait=lambda told: on_progress(Progress("", told))
        ) as repository:
            target = RegistryTarget(
                repository,
                reference.tag,
                image.manifest.digest,
                source,
                others=self._others(reference),
                on_mount=lambda blob, place: counted.mount(blob, place),
            )
            counted = CountedTarget(target, on_progress)
            carry(source, counted, image.manifest.descriptor)

    def _others(self, reference: Reference) -> Callable[[Digest], Sequence[str]]:
        """In which other repositories of that registry a blob may be, going by our images."""
        found: dict[Digest, dict[str, None]] = {}
        for holder, names in self._library.catalogue.names().items():
            paths = [n.path for n in names if n.domain == reference.domain]
            paths = [path for path in paths if path != reference.path]
            if paths:
                for layer in self._library.image(holder).manifest.layers:
                    found.setdefault(layer.digest, {}).update(dict.fromkeys(paths))
        return lambda digest: list(found.get(digest, ()))[:_MOST_PLACES]


def _platforms(source: transfer.Source, manifest: Manifest) -> Iterator[Platform]:
    if manifest.config.media_type in (mediatypes.OCI_CONFIG, mediatypes.DOCKER_CONFIG):
        yield ImageConfig.parse(transfer.read(source, manifest.config)).platform
