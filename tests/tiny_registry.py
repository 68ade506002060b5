"""A registry in memory that does what the specification says, or what a test makes of it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from image_box import CONFIG, LAYER, MANIFEST, config, sha256

_MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)")
_BLOB = re.compile(r"/v2/(.+)/blobs/([^/]+)")
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/(\w*)")
_TAGS = re.compile(r"/v2/(.+)/tags/list")


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    peer: str

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


Hook = Callable[["Handler"], bool]


@dataclass
class Registry:
    """What it holds, by repository; *hooks* see each request first and may answer it."""

    address: str = "127.0.0.1"
    port: int = 0
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"{self.address}:{self.port}"

    def requests(self, method: str, part: str = "") -> list[Asked]:
        """What came of that method, with *part* in its path."""
        return [each for each in self.asked if each.method == method and part in each.path]

    def put(self, repository: str, tag: str, layers: list[bytes], *, raw: bytes = b"") -> str:
        """Keep an image of these uncompressed layers; its manifest's digest."""
        raw = raw or config(layers)
        blobs = [(CONFIG, raw), *((LAYER, layer) for layer in layers)]
        rows = [self.blob(repository, kind, content) for kind, content in blobs]
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": rows[0],
            "layers": rows[1:],
        }
        return self.manifest(repository, tag, MANIFEST, json.dumps(document).encode())

    def blob(self, repository: str, kind: str, content: bytes) -> dict[str, Any]:
        """Keep a blob; its descriptor."""
        digest = sha256(content)
        self.blobs[repository, digest] = content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def manifest(self, repository: str, tag: str, kind: str, content: bytes) -> str:
        digest = sha256(content)
        self.manifests[repository, tag] = self.manifests[repository, digest] = kind, content
        return digest


class Handler(BaseHTTPRequestHandler):
    """One connection; *registry* is set by the class that `served` makes."""

    protocol_version = "HTTP/1.1"
    registry: Registry
    timeout = 10
    disable_nagle_algorithm = True

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        """A whole answer; names of headers with _ for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        rows = {"errors": [{"code": code, "message": message}]}
        self.answer(status, json.dumps(rows).encode(), **headers)

    def body(self) -> bytes:
        """What was sent; it is read once."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.headers.replace_header("Content-Length", "0") if content else None
        return content

    def handle_one(self) -> None:
        asked = {name.lower(): value for name, value in self.headers.items()}
        peer = str(self.connection.getsockname()[0])
        self.registry.asked.append(Asked(self.command, self.path, asked, peer))
        if any(hook(self) for hook in list(self.registry.hooks)):
            return
        path = urlsplit(self.path).path
        if path == "/v2/":
            self.answer(200, b"{}")
        elif found := _UPLOAD.fullmatch(path):
            self._upload(found[1], found[2])
        elif found := _MANIFEST.fullmatch(path):
            self._manifest(found[1], found[2])
        elif found := _BLOB.fullmatch(path):
            self._blob(found[1], found[2])
        elif found := _TAGS.fullmatch(path):
            tags = sorted(t for r, t in self.registry.manifests if r == found[1] and ":" not in t)
            self.answer(200, json.dumps({"name": found[1], "tags": tags}).encode())
        elif path == "/v2/_catalog":
            names = sorted({r for r, _ in self.registry.manifests})
            self.answer(200, json.dumps({"repositories": names}).encode())
        else:
            self.answer(404, b"404 page not found")

    def _manifest(self, repository: str, name: str) -> None:
        if self.command == "PUT":
            content = self.body()
            kind = self.headers.get("Content-Type", "")
            digest = self.registry.manifest(repository, name, kind, content)
            self.answer(201, Docker_Content_Digest=digest)
            return
        found = self.registry.manifests.get((repository, name))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return
        digest = sha256(found[1])
        self.answer(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest)

    def _blob(self, repository: str, digest: str) -> None:
        content = self.registry.blobs.get((repository, digest))
        if content is None:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if begin is None:
            self.answer(200, content)
            return
        at, size = int(begin[1]), len(content)
        self.answer(206, content[at:], Content_Range=f"bytes {at}-{size - 1}/{size}")

    def _upload(self, repository: str, session: str) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if self.command == "POST":
            self._begin(repository, query)
            return
        held = self.registry.uploads.setdefault(session, bytearray())
        location = f"/v2/{repository}/blobs/uploads/{session}"
        if self.command == "DELETE":
            self.registry.uploads.pop(session)
            self.answer(204)
        elif self.command == "GET":
            self.answer(204, Location=location, Range=f"0-{len(held) - 1}")
        elif self.command == "PATCH":
            held += self.body()
            self.answer(202, Location=location, Range=f"0-{len(held) - 1}")
        else:
            held += self.body()
            self._finish(repository, bytes(held), query["digest"])

    def _begin(self, repository: str, query: dict[str, str]) -> None:
        known = self.registry.blobs.get((query.get("from", ""), query.get("mount", "")))
        if known is not None:
            self.registry.blobs[repository, query["mount"]] = known
            self.answer(201)
            return
        session = f"u{len(self.registry.uploads)}"
        self.registry.uploads[session] = bytearray()
        self.answer(202, Location=f"/v2/{repository}/blobs/uploads/{session}")

    def _finish(self, repository: str, content: bytes, digest: str) -> None:
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.registry.blobs[repository, digest] = content
        self.answer(201, Docker_Content_Digest=digest)

    def break_off(self) -> None:
        """End the connection in the middle of things."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away as they like."""


@contextmanager
def served(
    registry: Registry | None = None, *, certificate: Path | None = None, ca: Path | None = None
) -> Iterator[Registry]:
    """A registry that listens, with TLS where there is a *certificate* (with its key)."""
    registry = registry or Registry()
    handler = type("Bound", (Handler,), {"registry": registry})
    server = _Server((registry.address, registry.port), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if ca is not None:
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
