"""A repository on a registry: the requests of the distribution specification, one a method."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin

from lading.errors import Invalid, NotFound, Unsupported
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, InvalidDocument, parse
from lading.registry import failures
from lading.registry.download import Download
from lading.registry.failures import Refusal, WrongDocument
from lading.registry.message import Content, Request, Response, origin
from lading.store.blobs import UnexpectedContent

if TYPE_CHECKING:
    from lading.registry.wire import Wire  # which needs urllib3, for those alone who dial

ACCEPTED = (
    mediatypes.OCI_INDEX,
    mediatypes.OCI_MANIFEST,
    mediatypes.DOCKER_INDEX,
    mediatypes.DOCKER_MANIFEST,
)
_KNOWN = frozenset(ACCEPTED)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
_LINK = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?')
_MOST_PAGES = 1000
_PAGE = 1000


class SchemaOne(Unsupported):
    """Raised for manifests of a kind that nobody should use any more."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"media type {media_type[:100]!r} is no longer supported")


class BadPages(Invalid):
    """Raised where a list leads to another server, in a circle, or on without an end."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the registry's list {why}")


class Repository:
    """One repository, by its path; safe to use from several threads."""

    def __init__(self, wire: Wire, path: str) -> None:
        self.wire, self.path = wire, path

    # Manifests.

    def manifest(self, name: Digest | str) -> tuple[Descriptor, bytes]:
        """The document under a tag or digest, verified; NotFound, Denied, WrongDocument."""
        response = self._get("GET", f"manifests/{name}", Accept=", ".join(ACCEPTED))
        content = response.content()
        if len(content) > MOST_BYTES:
            raise InvalidDocument("manifest", f"more than {MOST_BYTES} bytes")
        found = Digest.of(content)
        if isinstance(name, Digest):
            check_digest(name, content)
            found = name
        media_type = _media_type(response.header("content-type"), content)
        return Descriptor(media_type, found, len(content)), content

    def find(self, name: Digest | str) -> Digest | None:
        """The digest that a tag has, as the registry says without sending it; None for none."""
        try:
            response = self._get("HEAD", f"manifests/{name}", Accept=", ".join(ACCEPTED))
        except NotFound:
            return None
        response.body.close()
        told = response.header("docker-content-digest")
        try:
            return Digest.parse(told)
        except Invalid:
            return None

    def put_manifest(self, name: Digest | str, descriptor: Descriptor, content: bytes) -> None:
        """Give the registry a document, all that it names being there."""
        response = self.wire.ask(
            Request(
                "PUT",
                self.url(f"manifests/{name}"),
                {"Content-Type": descriptor.media_type},
                Content(len(content), lambda: io.BytesIO(content)),
            ),
            self.scope("pull,push"),
        )
        finish(response, 201, 200, 202)

    def delete(self, name: Digest | str) -> None:
        """Remove a manifest or, where the registry does that, a tag."""
        request = Request("DELETE", self.url(f"manifests/{name}"))
        finish(self.wire.ask(request, self.scope("pull,push,delete")), 202, 200)

    # Blobs.

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the blob is in this very repository."""
        request = Request("HEAD", self.url(f"blobs/{descriptor.digest}"))
        response = self.wire.ask(request, self.scope("pull,push"))
        response.body.close()
        if response.status == 404:
            return False
        if response.status != 200:
            raise failures.of_response(response)
        size = response.header("content-length")
        return not size.isdecimal() or int(size) == descriptor.size

    def open_blob(self, descriptor: Descriptor) -> Download:
        """The blob's bytes, as many as it has; NotFound, Denied, Incomplete."""

        def ask(at: int) -> Response:
            range_ = {"Range": f"bytes={at}-"} if at else {}
            response = self._get("GET", f"blobs/{descriptor.digest}", **range_)
            length = response.header("content-length")
            if response.status == 200 and length.isdecimal() and int(length) != descriptor.size:
                response.body.close()
                raise WrongDocument(
                    f"{descriptor.digest} has {length} bytes at {self.wire.endpoint.authority}, "
                    f"and its descriptor says {descriptor.size}"
                )
            return response

        return Download(descriptor, ask, self.wire.patience)

    # Lists.

    def tags(self) -> Iterator[str]:
        """Every tag, as the registry sorts them; NotFound, Denied, BadPages."""
        yield from self._pages(self.url("tags/list"), "tags", self.scope("pull"))

    def catalog(self) -> Iterator[str]:
        """Every repository of this registry that may be seen."""
        url = f"{self.wire.base}/v2/_catalog"
        yield from self._pages(url, "repositories", "registry:catalog:*")

    def referrers(self, digest: Digest) -> Sequence[dict[str, Any]]:
        """The descriptors of what refers to *digest*."""
        document = parse(self._get("GET", f"referrers/{digest}").content(), "referrers")
        found = document.get("manifests")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def url(self, rest: str) -> str:
        return f"{self.wire.base}/v2/{quote(self.path)}/{quote(rest, safe='/:')}"

    def scope(self, actions: str) -> str:
        """What a token must allow."""
        return f"repository:{self.path}:{actions}"

    def _get(self, method: str, rest: str, /, **headers: str) -> Response:
        request = Request(method, self.url(rest), headers)
        response = self.wire.ask(request, self.scope("pull"))
        if response.status not in (200, 206):
            raise failures.of_response(response)
        return response

    def _pages(self, url: str, field: str, scope: str) -> Iterator[str]:
        begin, seen = url, set[str]()
        url = f"{url}?{urlencode({'n': _PAGE})}"
        while url:
            if url in seen or len(seen) >= _MOST_PAGES:
                raise BadPages("goes on in a circle" if url in seen else "has too many pages")
            seen.add(url)
            response = self.wire.ask(Request("GET", url), scope)
            if response.status != 200:
                raise failures.of_response(response)
            rows = parse(response.content(), "list").get(field) or []
            yield from (row for row in rows if isinstance(row, str))
            url = _next(url, response.header("link"))
            if url and origin(url) != origin(begin):
                raise BadPages("leads to another server")


def finish(response: Response, *statuses: int) -> Response:
    """*response*, read to its end; the registry's refusal unless its status is one of these."""
    if response.status not in statuses:
        raise failures.of_response(response)
    response.body.close()
    return response


def check_digest(expected: Digest, content: bytes) -> None:
    """UnexpectedContent unless *content* has that digest."""
    import hashlib

    hashed = hashlib.new(expected.algorithm, content).hexdigest()
    if hashed != expected.hex:
        raise UnexpectedContent(expected, Digest(f"{expected.algorithm}:{hashed}"))


def is_missing(error: Refusal) -> bool:
    """Whether the registry has no such manifest, rather than no such repository."""
    return error.status == 404 and error.code in ("MANIFEST_UNKNOWN", "NOT_FOUND", "")


def _media_type(header: str, content: bytes) -> str:
    """What the document is; WrongDocument where header and document disagree."""
    told = header.partition(";")[0].strip()
    if told.startswith(_SCHEMA_1):
        raise SchemaOne(told)
    document = parse(content, "manifest")
    inside = document.get("mediaType")
    if document.get("schemaVersion") == 1:
        raise SchemaOne(f"{_SCHEMA_1}+json")
    if isinstance(inside, str) and inside in _KNOWN:
        if told in _KNOWN and told != inside:
            raise WrongDocument(
                f"the registry announces the document as {told!r}, and it says {inside!r}"
            )
        return inside
    if told in _KNOWN:
        return told
    if isinstance(document.get("manifests"), list):
        return mediatypes.OCI_INDEX
    if isinstance(document.get("layers"), list):
        return mediatypes.OCI_MANIFEST
    raise WrongDocument(f"unsupported media type {(inside or told or 'none')!r:.120}")


def _next(url: str, link: str) -> str:
    found = _LINK.search(link[:8192])
    return urljoin(url, found[1]) if found else ""
