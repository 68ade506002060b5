"""An engine that gives canned answers on a unix socket, and remembers what it was asked.

For tests of clients: what they send, and what they make of an answer.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query and API version."""
        path = self.target.partition("?")[0]
        parts = path.split("/", 2)
        return f"/{parts[2]}" if parts[1][:1] == "v" and parts[1][1:2].isdigit() else path

    def json(self) -> object:
        return json.loads(self.body)


Handler = Callable[[Asked, socket.socket], None]


@dataclass
class CannedEngine:
    """Serves *answers* (by "METHOD /path") until the `with` block ends."""

    socket_path: Path
    answers: dict[str, object] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> CannedEngine:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    @property
    def host(self) -> str:
        return f"unix://{self.socket_path}"

    def _accept(self) -> None:
        workers = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            worker = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            worker.start()
            workers.append(worker)
        for worker in workers:
            worker.join(timeout=5)

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection:
            while (request := _read(connection)) is not None:
                self.asked.append(request)
                answer = self.answers.get(f"{request.method} {request.path}")
                if callable(answer):
                    answer(request, connection)
                    return
                connection.sendall(_response(answer, head=request.method == "HEAD"))


def _read(connection: socket.socket) -> Asked | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        try:
            more = connection.recv(65536)
        except OSError:
            return None
        if not more:
            return None
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _chunked(connection, body)
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = first.split(" ", 2)
    return Asked(method, target, headers, body)


def _chunked(connection: socket.socket, raw: bytes) -> bytes:
    body = b""
    while True:
        while b"\r\n" not in raw:
            raw += connection.recv(65536)
        size, _, raw = raw.partition(b"\r\n")
        wanted = int(size, 16)
        while len(raw) < wanted + 2:
            raw += connection.recv(65536)
        body, raw = body + raw[:wanted], raw[wanted + 2 :]
        if not wanted:
            return body


def _response(answer: object, *, head: bool) -> bytes:
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    if answer is None:
        status, body = 404, {"message": "page not found"}
    kind = "application/json"
    if isinstance(body, (str, bytes)):
        kind, raw = "text/plain", body.encode() if isinstance(body, str) else body
    else:
        raw = json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Some Reason",
        f"Content-Type: {kind}",
        "Api-Version: 1.50",
        "Ostype: linux",
    ]
    if status != 204:
        lines.append(f"Content-Length: {len(raw)}")
    text = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return text if head or status == 204 else text + raw
