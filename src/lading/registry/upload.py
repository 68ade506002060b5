"""A blob on its way into a repository: mounted from another, sent at once, or in chunks.

An upload that breaks off is taken up at the byte that the registry has; a registry that
does not take whole blobs gets chunks.  Where it says to send to must be the registry itself.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from lading.errors import Denied, LadingError
from lading.oci.descriptor import Descriptor
from lading.registry import failures
from lading.registry.message import Broken, Content, Request, Response, origin
from lading.registry.remote import Repository, finish

_CHUNK = 16 * 1024 * 1024
_MOST_CHUNK = 1 << 30
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_SKIP = 256 * 1024

Open = Callable[[], BinaryIO]


class UploadLeadsAway(Denied):
    """Raised where a registry wants a blob to be sent to another server."""

    def __init__(self, location: str) -> None:
        super().__init__(f"the registry wants uploads to go to another server: {location[:200]!r}")


def mount(repository: Repository, descriptor: Descriptor, source: str) -> bool:
    """Have the registry take the blob from another of its repositories; whether it did."""
    fields = urlencode({"mount": str(descriptor.digest), "from": source})
    request = Request("POST", f"{repository.url('blobs/uploads/')}?{fields}")
    scope = f"{repository.scope('pull,push')} repository:{source}:pull"
    response = repository.wire.ask(request, scope)
    if response.status == 202:  # it began an upload instead, which nobody needs
        response.body.close()
        _cancel(repository, _location(repository, response))
    elif response.status != 201:
        response.body.close()
    return response.status == 201


def upload(repository: Repository, descriptor: Descriptor, open_: Open) -> None:
    """Send the blob; *open_* gives it from its start, as often as it takes.

    Raises what *open_*'s stream raises, the registry's refusal, Broken.
    """
    patience = repository.wire.patience
    failure: LadingError | None = None
    for number in range(patience.tries):
        if number:
            time.sleep(min(patience.longest_pause, patience.pause * 2 ** (number - 1)))
        session = _Session(repository, descriptor, open_)
        try:
            session.begin()
            session.send()
            return
        except Broken as error:
            failure = error
            if session.resume():
                return
        except failures.RefusedUnavailable as error:
            failure = error
        except failures.Refusal as error:
            if error.status != 413 and error.code != "SIZE_INVALID":
                raise
            failure = error
            session.begin()
            session.send_chunks()
            return
    assert failure is not None
    raise failure


class _Session:
    """One upload; *location* is where it goes on, *at* how many bytes the registry has."""

    def __init__(self, repository: Repository, descriptor: Descriptor, open_: Open) -> None:
        self._repository, self._descriptor, self._open = repository, descriptor, open_
        self._scope = repository.scope("pull,push")
        self._location = ""
        self._chunk = _CHUNK
        self._at = 0

    def begin(self) -> None:
        url = self._repository.url("blobs/uploads/")
        response = finish(self._repository.wire.ask(Request("POST", url), self._scope), 202)
        least = response.header("oci-chunk-min-length")
        if least.isdecimal():
            self._chunk = min(max(_CHUNK, int(least)), _MOST_CHUNK)
        self._location, self._at = _location(self._repository, response), 0

    def send(self) -> None:
        """The whole blob in one request that also ends the upload."""
        self._end(Content(self._descriptor.size, self._open))

    def send_chunks(self) -> None:
        """The rest of the blob, piece by piece."""
        size = self._descriptor.size
        while self._at < size:
            length = min(self._chunk, size - self._at)
            at = self._at
            request = Request(
                "PATCH",
                self._location,
                {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{at}-{at + length - 1}",
                },
                Content(length, lambda at=at, length=length: self._part(at, length)),  # type: ignore[misc]  # bound now
            )
            response = self._ask(request)
            finish(response, 202, 204)
            self._location = _location(self._repository, response)
            self._at = at + length
        self._end(None)

    def resume(self) -> bool:
        """Go on where the registry's own count says; whether that ended well."""
        try:
            response = self._ask(Request("GET", self._location))
            finish(response, 204, 202, 200)
            found = _RANGE.fullmatch(response.header("range"))
            self._at = int(found[1]) + 1 if found else 0
            if not 0 < self._at < self._descriptor.size:
                return False
            if response.header("location"):
                self._location = _location(self._repository, response)
            self.send_chunks()
        except (failures.Refusal, Broken):
            return False
        return True

    def _end(self, content: Content | None) -> None:
        joint = "&" if urlsplit(self._location).query else "?"
        url = f"{self._location}{joint}{urlencode({'digest': str(self._descriptor.digest)})}"
        headers = {"Content-Type": "application/octet-stream"}
        empty = Content(0, lambda: io.BytesIO(b""))
        response = self._ask(Request("PUT", url, headers, content or empty))
        finish(response, 201, 204)

    def _ask(self, request: Request) -> Response:
        return self._repository.wire.ask(request, self._scope, tries=1)

    def _part(self, at: int, length: int) -> BinaryIO:
        stream = self._open()
        left = at
        while left and (piece := stream.read(min(left, _SKIP))):
            left -= len(piece)
        return io.BufferedReader(_Part(stream, length), _SKIP)


class _Part(io.RawIOBase):
    """The next *length* bytes of *stream*, which it closes."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream, self._left = stream, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._stream.read(min(len(view), self._left))
        view[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _cancel(repository: Repository, location: str) -> None:
    request = Request("DELETE", location)
    repository.wire.ask(request, repository.scope("pull,push"), tries=1).body.close()


def _location(repository: Repository, response: Response) -> str:
    """Where the upload goes on; UploadLeadsAway where that is not the registry."""
    told = response.header("location")
    found = urljoin(response.url, told)
    if not told or origin(found) != origin(repository.wire.base) or "@" in urlsplit(found).netloc:
        raise UploadLeadsAway(found)
    return found
