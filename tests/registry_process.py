"""A real registry on a root and a port of its own, for tests, and a client that hides nothing."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
_SERVING = re.compile(r"serving .* on https?://\S+?:(\d+)\n")
_START_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes, in the specification's shape."""
        return [error["code"] for error in self.json["errors"]]

    def __getitem__(self, name: str) -> str:
        value = self.headers[name]
        assert value is not None, f"no {name} in {self.headers}"
        return str(value)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptor(content: bytes, media_type: str, algorithm: str = "sha256") -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": digest_of(content, algorithm),
        "size": len(content),
    }


def basic(name: str, password: str) -> dict[str, str]:
    word = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


class Registry:
    """One `lading registry serve` process, which can be killed and started again."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.root = directory / "registry"
        self.log = directory / "registry.log"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def command(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``lading registry WORD --root ...``."""
        line = [sys.executable, "-m", "lading", "registry", words[0], "--root", str(self.root)]
        return subprocess.run([*line, *words[1:]], input=stdin, capture_output=True, text=True)

    def start(self) -> None:
        """Start it on a free port, the same one when it is started again."""
        line = [sys.executable, "-m", "lading", "registry", "serve", "--root", str(self.root)]
        if "--addr" not in self._arguments:
            line += ["--addr", f"127.0.0.1:{self.port}"]
        self.log.write_text("")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*line, *self._arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while not (found := _SERVING.search(self.log.read_text())):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(30)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """One request on a connection of its own; *path* is sent as it is."""
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def push_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> str:
        """Push the blob in one request; its digest."""
        digest = digest_of(content, algorithm)
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/", content, digest=digest)
        assert answer.status == 201, answer
        return digest

    def push_manifest(
        self, repository: str, reference: str, document: Mapping[str, Any] | bytes, **query: str
    ) -> Answer:
        """PUT the manifest as what it says it is."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        kind = {"Content-Type": json.loads(raw)["mediaType"]}
        return self.ask("PUT", f"/v2/{repository}/manifests/{reference}", raw, kind, **query)

    def image(self, repository: str, algorithm: str = "sha256", **fields: Any) -> dict[str, Any]:
        """Push a config and two layers that nobody else has; a manifest of them."""
        parts = [
            (json.dumps({"os": "linux", "made": secrets.token_hex(8)}).encode(), OCI_CONFIG),
            (os.urandom(700), OCI_LAYER),
            (os.urandom(900), OCI_LAYER),
        ]
        for content, _ in parts:
            self.push_blob(repository, content, algorithm)
        config, *layers = (descriptor(*part, algorithm) for part in parts)
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": layers,
            **fields,
        }

    def begin(self, repository: str) -> str:
        """Open an upload; its location."""
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == 202
        return located(answer)


def located(answer: Answer) -> str:
    """The path and query of the answer's Location."""
    parts = urlsplit(answer["Location"])
    return parts.path + (f"?{parts.query}" if parts.query else "")
