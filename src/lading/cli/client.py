"""Ask the engine, and turn its errors into faults.

A request's parts come as they are; this module quotes them.  Nothing is connected before
the first request, so commands that need no daemon cost nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from lading.cli import http
from lading.cli.faults import Fault, Refused, Unreachable

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:@")
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_SCHEME = "unix://"

Query = Mapping[str, object]


def quote(text: str) -> str:
    """*text* as one segment of a path, or as a query's value."""
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in raw)


def query_string(query: Query) -> str:
    """``?a=1&b=2``; None and empty values are left out, lists repeat, filters are JSON."""
    parts: list[str] = []
    for name, value in query.items():
        if value is None or value == "" or value is False or value in ({}, []):
            continue
        if isinstance(value, dict):
            value = json.dumps(value, separators=(",", ":"))
        for item in value if isinstance(value, list) else [value]:
            text = "1" if item is True else str(item)
            parts.append(f"{name}={quote(text)}")
    return "?" + "&".join(parts) if parts else ""


class Client:
    """The way to one engine.

    *starter* starts the daemon and returns when it listens; None where lading must not.
    """

    def __init__(self, host: str, starter: Callable[[], None] | None = None) -> None:
        if not host.startswith(_SCHEME) or len(host) == len(_SCHEME):
            raise Fault(f"invalid host {host!r}: only unix:// sockets are supported")
        self.host = host
        self._path = host.removeprefix(_SCHEME)
        self._starter = starter

    # -- whole answers -------------------------------------------------------------------

    def get(self, path: str, **query: object) -> Any:
        """The JSON that a GET answers with."""
        return decoded(self.ask("GET", path, query).read())

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """POST *body* as JSON; the answer's JSON, None where there is none."""
        return decoded(self.ask("POST", path, query, body).read())

    def delete(self, path: str, **query: object) -> Any:
        """DELETE; the answer's JSON, None where there is none."""
        return decoded(self.ask("DELETE", path, query).read())

    # -- answers as they come ------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> http.Response:
        """Send a request; the response, its body unread.  Refused for the engine's errors."""
        raw = b"" if body is None else json.dumps(body).encode()
        extra = dict(headers or {})
        if body is not None:
            extra["Content-Type"] = "application/json"
        if method in ("POST", "PUT"):
            extra["Content-Length"] = str(len(raw))
        connection = self.send(method, path, query, extra)
        if raw:
            connection.send(raw)
        return self.answer(connection, method)

    def upgrade(self, path: str, query: Query, body: object = None) -> http.Connection:
        """POST, and take the connection over for a stream in both directions."""
        return self.ask("POST", path, query, body, headers=_UPGRADE).connection

    def stream(self, path: str, **query: object) -> Iterator[Any]:
        """Each JSON document of a GET that goes on, as it comes."""
        return documents(self.ask("GET", path, query))

    def send(
        self, method: str, path: str, query: Query | None, headers: Mapping[str, str]
    ) -> http.Connection:
        """Connect and send a request's head; the caller sends the body."""
        connection = self._connect()
        target = path + query_string(query or {})
        connection.send(http.head(method, target, headers))
        return connection

    def answer(self, connection: http.Connection, method: str) -> http.Response:
        """The head of the answer; Refused when it is an error."""
        response = http.receive(connection, method)
        if response.status >= 400:
            raise Refused(_message(response), response.status)
        return response

    def dial(self) -> http.Connection:
        """A connection on which nothing has been said yet."""
        return self._connect()

    # -- connecting ----------------------------------------------------------------------

    def _connect(self) -> http.Connection:
        try:
            return http.connect(self._path)
        except (FileNotFoundError, ConnectionRefusedError):
            if self._starter is None:
                raise self._unreachable() from None
        except OSError as error:
            raise self._unusable(error) from None
        self._starter()
        try:
            return http.connect(self._path)
        except OSError:
            raise self._unreachable() from None

    def _unreachable(self) -> Unreachable:
        message = f"Cannot connect to the lading daemon at {self.host}. Is it running?"
        return Unreachable(message)

    def _unusable(self, error: OSError) -> Unreachable:
        if isinstance(error, PermissionError):
            return Unreachable(
                f"permission denied while trying to connect to the lading daemon at {self.host}"
            )
        reason = error.strerror or error
        return Unreachable(f"cannot connect to the lading daemon at {self.host}: {reason}")


def documents(response: http.Response) -> Iterator[Any]:
    """The JSON documents of a response, one a line, as they come."""
    for line in response.lines():
        if line.strip():
            yield decoded(line)


def decoded(body: bytes) -> Any:
    """The JSON in *body*, or None when it is empty."""
    if not body.strip():
        return None
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise http.Lost("not a JSON document") from None


def _message(response: http.Response) -> str:
    """What an error says, in whatever shape it came."""
    raw = response.read()
    try:
        document = json.loads(raw)
        message = document["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        message = raw.decode("utf-8", "replace")
    return str(message).strip() or f"HTTP status {response.status}"
