"""A library on a directory of its own, and image archives of every kind, for tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lading.events import Bus
from lading.image.library import Library
from lading.snapshot.copying import Copying
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.trash import at_once
from lading.store.blobs import BlobStore
from lading.store.database import Database
from tarball import Tarball

OCI = "application/vnd.oci.image"
MANIFEST, CONFIG = f"{OCI}.manifest.v1+json", f"{OCI}.config.v1+json"
INDEX, LAYER = f"{OCI}.index.v1+json", f"{OCI}.layer.v1.tar"
NAME, REF = "io.containerd.image.name", "org.opencontainers.image.ref.name"


class Box:
    """A library, and a look at what lies below its root."""

    def __init__(self, root: Path, driver: Callable[..., Snapshotter] = Copying) -> None:
        self.root = root
        self.snapshotter: Snapshotter = driver(root / "layers", root / "containers", at_once)
        self.database = Database(root / "state.db")
        blobs = BlobStore(root / "blobs", root / "staging", root / "trash")
        self.library = Library(blobs, self.database, self.snapshotter, Bus())

    def close(self) -> None:
        self.snapshotter.close()
        self.database.close()

    def contents(self) -> set[str]:
        """Everything that is kept: blobs, layers, what is in staging or trash, rows."""
        blobs = {str(digest) for digest in self.library.blobs.all()}
        layers = {f"layer {digest}" for digest in self.snapshotter.layers()}
        rows = {
            f"row {kind} {key}"
            for kind, key in self.database.query("SELECT kind, key FROM records")
        }
        return blobs | layers | rows | set(self._litter())

    def _litter(self) -> Iterable[str]:
        for folder in (self.root / "staging", self.root / "trash"):
            yield from (f"{folder.name}/{name}" for name in os.listdir(folder))


def layer(name: str = "file", content: bytes = b"content") -> bytes:
    return Tarball().file(name, content).content


def large_layer(name: str = "large") -> bytes:
    """One that is taken as a layer on the way, and does not compress."""
    return layer(name, hashlib.shake_256(name.encode()).digest(200_000))


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def config(layers: Sequence[bytes], **more: Any) -> bytes:
    """The config of an image with these tars as its layers."""
    rootfs = {"type": "layers", "diff_ids": [sha256(tar) for tar in layers]}
    document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}}
    return json.dumps({**document, "rootfs": rootfs, **more}).encode()


def tar_of(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    pairs = members.items() if isinstance(members, Mapping) else members
    tar = Tarball()
    for name, content in pairs:
        tar.file(name, content)
    return tar.content


def docker_archive(
    layers: Sequence[bytes],
    tags: Sequence[str] | None = ("some/image:1",),
    *,
    raw: bytes | None = None,
    stored: Sequence[bytes] | None = None,
    **row: Any,
) -> dict[str, bytes]:
    """The members of an archive as ``docker save`` wrote it before 25; *stored* in the tar."""
    raw = config(layers) if raw is None else raw
    name = hashlib.sha256(raw).hexdigest() + ".json"
    members = {f"{n:064x}/layer.tar": tar for n, tar in enumerate(stored or layers)}
    document = [{"Config": name, "RepoTags": tags, "Layers": list(members), **row}]
    return {**members, name: raw, "manifest.json": json.dumps(document).encode()}


class Layout:
    """An OCI layout being made."""

    def __init__(self) -> None:
        self.members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self._roots: list[dict[str, Any]] = []

    def blob(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Add a blob; its descriptor."""
        digest = sha256(content)
        self.members["blobs/" + digest.replace(":", "/")] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content), **more}

    def document(self, media_type: str, fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": media_type, **fields}
        return self.blob(json.dumps(document).encode(), media_type, **more)

    def image(
        self, layers: Sequence[bytes], *, raw: bytes | None = None, compress: bool = True
    ) -> dict[str, Any]:
        """Add an image; its manifest's descriptor."""
        kind = f"{LAYER}+gzip" if compress else LAYER
        stored = [gzip.compress(tar, 1, mtime=0) if compress else tar for tar in layers]
        blobs = [self.blob(content, kind) for content in stored]
        whole = self.blob(config(layers) if raw is None else raw, CONFIG)
        return self.document(MANIFEST, {"config": whole, "layers": blobs})

    def root(self, descriptor: Mapping[str, Any], name: str = "", **more: Any) -> Layout:
        """Name a descriptor in index.json."""
        notes = {"annotations": {NAME: name}} if name else {}
        self._roots.append({**descriptor, **notes, **more})
        return self

    @property
    def index(self) -> bytes:
        return json.dumps({"schemaVersion": 2, "manifests": self._roots}).encode()

    @property
    def tar(self) -> bytes:
        """Names first, so that layers come when nothing is known of them in the other order."""
        return tar_of({**self.members, "index.json": self.index})


class Pipe(io.RawIOBase):
    """Bytes that come in odd pieces and cannot be sought."""

    def __init__(self, content: bytes, piece: int = 10_007) -> None:
        self._content, self._at, self._piece = content, 0, piece

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        most = len(self._content) if size < 0 else min(size, self._piece)
        piece = self._content[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
