"""A small HTTP client over a unix socket, for tests: nothing between them and the wire."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

_HEADER = struct.Struct(">BxxxL")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("lading", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


@dataclass(frozen=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def message(self) -> str:
        return str(self.json()["message"])


@dataclass(frozen=True)
class Output:
    """A multiplexed stream, taken apart."""

    stdout: bytes
    stderr: bytes

    @classmethod
    def of(cls, content: bytes) -> Output:
        streams = {1: b"", 2: b""}
        while content:
            number, length = _HEADER.unpack_from(content)
            streams[number] += content[_HEADER.size : _HEADER.size + length]
            content = content[_HEADER.size + length :]
        return cls(streams[1], streams[2])


class Hijacked:
    """A connection taken over: raw bytes both ways."""

    def __init__(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        self.socket = connection
        self.head = head
        self._rest = rest

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def end_input(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def read(self) -> bytes:
        """Everything up to the end, at which the connection is closed."""
        content = bytearray(self._rest)
        self._rest = b""
        with self.socket:
            while piece := self.socket.recv(1 << 20):
                content += piece
        return bytes(content)

    def read_until(self, wanted: bytes) -> bytes:
        """What comes, until *wanted* has come."""
        while wanted not in self._rest:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"the stream ended without {wanted!r}: {self._rest!r}")
            self._rest += piece
        found, self._rest = self._rest, b""
        return found

    def close(self) -> None:
        self.socket.close()


class Client:
    """Requests to one daemon."""

    def __init__(self, path: str, version: str = "v1.43", timeout: float = 60.0) -> None:
        self.path = path
        self.version = version
        self.timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        /,
        *,
        content: Any = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """*content* goes as JSON, *body* as it is; query values that are objects go as JSON."""
        connection, response = self._send(method, path, content, body, headers, query)
        try:
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, /, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, /, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def delete(self, path: str, /, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)

    def stream(self, method: str, path: str, /, **query: Any) -> Iterator[bytes]:
        """The lines of an answer, as they come."""
        connection, response = self._send(method, path, None, None, None, query)
        assert response.status == 200, response.read()
        try:
            while line := response.readline():
                yield line
        finally:
            connection.close()

    def hijack(
        self, path: str, /, *, content: Any = None, upgrade: bool = True, **query: Any
    ) -> Hijacked:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self.timeout)
        connection.connect(self.path)
        encoded = b"" if content is None else json.dumps(content).encode()
        head = [f"POST {self._target(path, query)} HTTP/1.1", "Host: lading"]
        head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
        if content is not None:
            head += ["Content-Type: application/json", f"Content-Length: {len(encoded)}"]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + encoded)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
        before, _, rest = answer.partition(b"\r\n\r\n")
        return Hijacked(connection, before, rest)

    def _send(
        self, method: str, path: str, content: Any, body: Any, headers: Any, query: Any
    ) -> tuple[_UnixConnection, http.client.HTTPResponse]:
        sent = dict(headers or {})
        if content is not None:
            body = json.dumps(content).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = _UnixConnection(self.path, self.timeout)
        chunked = body is not None and not isinstance(body, bytes)
        connection.request(
            method, self._target(path, query), body=body, headers=sent, encode_chunked=chunked
        )
        return connection, connection.getresponse()

    def _target(self, path: str, query: dict[str, Any]) -> str:
        fields = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in query.items()}
        prefix = f"/{self.version}" if self.version and not path.startswith("/lading/") else ""
        return prefix + path + ("?" + urlencode(fields, doseq=True) if fields else "")
