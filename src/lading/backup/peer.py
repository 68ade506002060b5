"""The other engine of a migration, asked over its socket, and its staging depot as a place.

One connection is kept for each thread.  What the other side answers is a stranger's: sizes are
limited, and blobs are verified by whoever reads them.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

from lading.backup import mediatypes as media
from lading.backup.place import Rename
from lading.errors import Conflict, Invalid, LadingError, NotFound, Unavailable, Unsupported
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

API = "/lading/v1/migration"
_SECONDS = 120.0  # that an answer may take
_MOST_ANSWER = 16 * 1024 * 1024
_KEPT = 32 * 1024 * 1024  # bytes of a document that is remembered rather than fetched again
_ANSWERS: Mapping[int, type[LadingError]] = {
    400: Invalid,
    404: NotFound,
    409: Conflict,
    501: Unsupported,
}


class PeerGone(Unavailable):
    """Raised where the other engine does not answer."""

    def __init__(self, host: str, why: object) -> None:
        super().__init__(f"the engine at {host} does not answer: {why}")


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("lading", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Peer:
    """An engine, by its socket's *path*; *host* is what people call it."""

    def __init__(self, path: str, host: str) -> None:
        self.path, self.host = path, host
        self._own = threading.local()

    def get(self, path: str, **query: object) -> Any:
        return self._json("GET", path, None, query)

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """POST *body* as JSON; the answer's JSON."""
        return self._json("POST", path, json.dumps(body).encode(), query)

    def put(self, path: str, descriptor: Descriptor, stream: BinaryIO) -> None:
        """PUT a blob."""
        size = str(descriptor.size)
        headers = {"Content-Length": size, "Content-Type": "application/octet-stream"}
        query = {"size": size, "mediaType": descriptor.media_type}
        self._ask("PUT", path, stream, query, headers)

    def read(self, path: str, **query: object) -> bytes:
        return self._ask("GET", path, None, query, {})

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """A request that lasts as long as the context: the other side sees its end."""
        connection = _Connection(self.path, _SECONDS)
        try:
            with self._telling():
                connection.request("GET", API + path)
                response = connection.getresponse()
                if response.status != 200:
                    raise _refusal(response.status, response.read(_MOST_ANSWER))
            yield
        finally:
            connection.close()

    def _json(self, method: str, path: str, body: bytes | None, query: Any) -> Any:
        content = self._ask(method, path, body, query, {"Content-Type": "application/json"})
        try:
            return json.loads(content) if content.strip() else None
        except (ValueError, RecursionError):
            raise PeerGone(self.host, "its answer is not JSON") from None

    def _ask(
        self, method: str, path: str, body: Any, query: Mapping[str, object], headers: Any
    ) -> bytes:
        target = API + path + ("?" + urlencode(query) if query else "")
        connection = self._connection()
        try:
            with self._telling():
                connection.request(method, target, body, headers)
                response = connection.getresponse()
                content = response.read(_MOST_ANSWER + 1)
                if len(content) > _MOST_ANSWER:
                    raise PeerGone(self.host, "its answer is too long")
        except BaseException:
            connection.close()
            raise
        if response.status >= 400:
            raise _refusal(response.status, content)
        return content

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise PeerGone(self.host, error) from error

    def _connection(self) -> _Connection:
        found: _Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = _Connection(self.path, _SECONDS)
        return found


class RemotePlace:
    """The staging depot of one migration there: a `Place` with one writer."""

    def __init__(self, peer: Peer, migration: str) -> None:
        self._peer, self._at = peer, f"/{migration}"
        self._there: set[Digest] = set()
        self._documents: dict[Digest, bytes] = {}

    def open(self, descriptor: Descriptor) -> BinaryIO:
        known = self._documents.get(descriptor.digest)
        if known is not None:
            return io.BytesIO(known)
        return cast(BinaryIO, io.BufferedReader(_Distant(self._peer, self._at, descriptor)))

    def has(self, descriptor: Descriptor) -> bool:
        if descriptor.digest in self._there:
            return True
        found = self._peer.get(f"{self._at}/blobs/{descriptor.digest}/stat", size=descriptor.size)
        if found["there"]:
            self._there.add(descriptor.digest)
        return bool(found["there"])

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        if descriptor.media_type not in media.PACKS and descriptor.size <= _KEPT:
            content = stream.read(descriptor.size + 1)
            self._documents[descriptor.digest] = content
            stream = io.BytesIO(content)
        self._peer.put(f"{self._at}/blobs/{descriptor.digest}", descriptor, stream)
        self._there.add(descriptor.digest)

    def names(self) -> Mapping[str, tuple[Descriptor, str]]:
        rows = self._peer.get(f"{self._at}/names")
        return {row["tag"]: (_descriptor(row), str(row["kind"])) for row in rows}

    def rename(self, change: Rename, artifact_type: str) -> None:
        wanted = change({tag: found for tag, (found, _) in self.names().items()})
        rows = [{"tag": tag, **document(each)} for tag, each in wanted.items() if each is not None]
        if rows:
            self._peer.post(f"{self._at}/names", {"rows": rows, "kind": artifact_type})

    @contextmanager
    def held(self, *, alone: bool = False) -> Iterator[None]:
        """Nobody else writes there, and nothing is swept."""
        yield

    def sweep(self, needed: Collection[Digest]) -> tuple[int, int]:
        """The whole of it goes when the migration is over."""
        return 0, 0


class _Distant(io.RawIOBase):
    """A blob there, read piece by piece from wherever one seeks to."""

    def __init__(self, peer: Peer, at: str, descriptor: Descriptor) -> None:
        self._peer, self._path = peer, f"{at}/blobs/{descriptor.digest}"
        self._size, self._offset = descriptor.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._offset, self._size)[whence]
        self._offset = max(0, base + offset)
        return self._offset

    def tell(self) -> int:
        return self._offset

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        most = min(len(view), self._size - self._offset)
        if most <= 0:
            return 0
        piece = self._peer.read(self._path, size=self._size, offset=self._offset, length=most)
        piece = piece[:most]
        view[: len(piece)] = piece
        self._offset += len(piece)
        return len(piece)


def document(descriptor: Descriptor) -> dict[str, object]:
    """A descriptor as both sides write it."""
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }


def _descriptor(row: Mapping[str, Any]) -> Descriptor:
    return Descriptor(str(row["mediaType"]), Digest.parse(str(row["digest"])), int(row["size"]))


def _refusal(status: int, content: bytes) -> LadingError:
    message = content[:4096].decode("utf-8", "replace")
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        message = str(json.loads(content)["message"])
    if status == 404 and "page not found" in message:
        message = "the other engine is no lading, or one that cannot take migrations yet"
    return _ANSWERS.get(status, Unavailable)(message)
