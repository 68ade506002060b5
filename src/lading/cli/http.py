"""HTTP/1.1 over a unix socket, as small as a command line needs it.

One request per connection.  A response's body may be chunked, of known length, or last
until the connection ends; an upgraded connection is handed over as it is.
"""

from __future__ import annotations

# The wrapper in `socket` costs 4 ms of each command's start for classes nobody needs here.
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket
from collections.abc import Iterator, Mapping

from lading.cli.faults import Unreachable

_MOST_HEAD = 256 * 1024
_PIECE = 256 * 1024
_BODILESS = (204, 304)


class Lost(Unreachable):
    """The connection ended, or what came over it was not HTTP."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"lost the connection to the lading daemon: {reason}")


class Connection:
    """A connection to the engine; made by `connect`."""

    __slots__ = ("_at", "_kept", "socket")

    def __init__(self, stream: socket) -> None:
        self.socket = stream
        self._kept = b""  # received, and used up to `_at`
        self._at = 0

    def send(self, data: bytes | memoryview) -> None:
        """Send all of *data*; Lost when the other side is gone."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Lost(str(error)) from None

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def end_sending(self) -> None:
        """Tell the other side that nothing more comes."""
        try:
            self.socket.shutdown(SHUT_WR)
        except OSError:
            pass  # it is gone already, which reading will tell

    def some(self, most: int = _PIECE) -> bytes:
        """At least one byte and at most *most*, or none at the end."""
        if self._at < len(self._kept):
            piece = self._kept[self._at : self._at + most]
            self._at += len(piece)
            return piece
        try:
            return self.socket.recv(most)
        except OSError as error:
            raise Lost(str(error)) from None

    def line(self) -> bytes:
        """The next line without its end; Lost when it is cut off or endless."""
        while (end := self._kept.find(b"\n", self._at)) < 0:
            rest = self._kept[self._at :]
            if len(rest) > _MOST_HEAD:
                raise Lost("a line without end")
            self._kept, self._at = b"", 0
            more = self.some()
            if not more:
                raise Lost("the connection ended")
            self._kept = rest + more
        line = self._kept[self._at : end]
        self._at = end + 1
        return line.rstrip(b"\r")

    def rest(self) -> bytes:
        """What was received already and not used."""
        kept = self._kept[self._at :]
        self._kept, self._at = b"", 0
        return kept


class Response:
    """An answer, its head read and its body still to come."""

    __slots__ = ("_chunked", "_left", "connection", "headers", "status")

    def __init__(
        self, connection: Connection, status: int, headers: dict[str, str], *, bodiless: bool
    ) -> None:
        self.connection = connection
        self.status = status
        self.headers = headers
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._left: int | None = None  # of a body of known length
        if bodiless or status in _BODILESS or status < 200:
            self._chunked, self._left = False, 0
        elif not self._chunked and "content-length" in headers:
            self._left = _length(headers["content-length"], 10)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; Lost when it is cut off.  The connection is closed after it."""
        try:
            yield from self._chunks() if self._chunked else self._plain()
        finally:
            self.connection.close()

    def read(self) -> bytes:
        """The whole body; the connection is closed after it."""
        return b"".join(self.pieces())

    def lines(self) -> Iterator[bytes]:
        """The body's lines, each as soon as it is whole."""
        kept = b""
        for piece in self.pieces():
            kept += piece
            *whole, kept = kept.split(b"\n")
            yield from whole
        if kept:
            yield kept

    def _plain(self) -> Iterator[bytes]:
        while self._left is None or self._left > 0:
            piece = self.connection.some(min(_PIECE, self._left or _PIECE))
            if not piece:
                if self._left is None:
                    return
                raise Lost("the body was cut off")
            if self._left is not None:
                self._left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := _length(self.connection.line().partition(b";")[0].decode("latin-1"), 16):
            while size:
                piece = self.connection.some(min(_PIECE, size))
                if not piece:
                    raise Lost("the body was cut off")
                size -= len(piece)
                yield piece
            self.connection.line()
        while self.connection.line():
            pass  # trailers


def _length(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        size = -1
    if size < 0:
        raise Lost(f"a bad length: {text!r}")
    return size


def connect(path: str) -> Connection:
    """Connect to the unix socket at *path*; OSError as the kernel says."""
    stream = socket(AF_UNIX, SOCK_STREAM)
    try:
        stream.connect(path)
    except BaseException:
        stream.close()
        raise
    return Connection(stream)


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request's first lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: lading"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def receive(connection: Connection, method: str) -> Response:
    """Read the head of the answer to a *method* request; Lost when there is none."""
    while True:
        status = _status(connection.line())
        headers: dict[str, str] = {}
        while line := connection.line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > 1000:
                raise Lost("too many headers")
        if status != 100:
            return Response(connection, status, headers, bodiless=method == "HEAD")


def _status(line: bytes) -> int:
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise Lost("not an HTTP answer")
    return int(parts[1])
