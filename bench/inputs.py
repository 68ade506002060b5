"""The images that the benchmark works on, made from Debian packages once and then kept.

(a) *base*: a Debian minbase of about 170 MB; (b) *large*: the same and a second layer
of at least 30,000 files and 400 MB.  Each with plain and with gzip'd layers, in archives
that every engine reads.  And
*tools*: a root file system with Python and a C compiler, to work in.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PACKAGES = (
    "golang-1.19-src",
    "rust-src",
    "python3-scipy",
    "python3-numpy",
    "linux-headers-6.1.0-*-common",
    "libicu-dev",
    "libboost1.74-dev",
)
SUITE = "bookworm"
_OCI = "application/vnd.oci.image."


@dataclass(frozen=True)
class Inputs:
    """Where the generated archives lie."""

    base_tar: Path
    tools_tar: Path
    base: Path
    base_gzip: Path
    large: Path
    large_gzip: Path
    extra_tar: Path


def make(folder: Path) -> Inputs:
    """Make what is missing in *folder* (some minutes the first time)."""
    folder.mkdir(parents=True, exist_ok=True)
    base_tar, extra_tar = folder / "base.tar", folder / "extra.tar"
    _once(base_tar, lambda part: _run("mmdebstrap", "--variant=minbase", SUITE, str(part)))
    _once(extra_tar, _extra_layer)
    tools_tar = folder / "tools.tar"
    tools = ("mmdebstrap", "--variant=minbase", "--include=python3,gcc,libc6-dev", SUITE)
    _once(tools_tar, lambda part: _run(*tools, str(part)))
    names = ("base-plain.tar", "base-gzip.tar", "large-plain.tar", "large-gzip.tar")
    found = Inputs(base_tar, tools_tar, *(folder / name for name in names), extra_tar)
    for image, layers, archives in (
        ("bench/base:1", [base_tar], (found.base, found.base_gzip)),
        ("bench/large:1", [base_tar, extra_tar], (found.large, found.large_gzip)),
    ):
        for path, compress in zip(archives, (False, True), strict=True):
            make_it = partial(_archive, tag=image, layers=layers, compress=compress)
            _once(path, make_it)
    return found


def _once(path: Path, make_it: Callable[[Path], None]) -> None:
    if path.exists():
        return
    part = path.with_name("part-" + path.name)
    make_it(part)
    part.rename(path)


def _run(*words: str, cwd: Path | None = None) -> None:
    subprocess.run(words, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def _extra_layer(out: Path) -> None:
    tree, debs = out.parent / "tree", out.parent / "debs"
    debs.mkdir(exist_ok=True)
    names = [n for pattern in PACKAGES for n in _newest(pattern)]
    _run("apt-get", "download", "-qq", *names, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        _run("dpkg-deb", "-x", str(deb), str(tree))
    _run("tar", "--numeric-owner", "--sort=name", "-C", str(tree), "-cf", str(out), ".")
    shutil.rmtree(tree)
    shutil.rmtree(debs)


def _newest(pattern: str) -> list[str]:
    """The last package whose name matches *pattern* (kernel headers change their name)."""
    if "*" not in pattern:
        return [pattern]
    words = ("apt-cache", "pkgnames", pattern.partition("*")[0])
    names = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    tail = pattern.rpartition("*")[2]
    fitting = [n for n in names if n.endswith(tail) and n.count("-") == pattern.count("-")]
    return sorted(fitting)[-1:]


def _archive(out: Path, tag: str, layers: list[Path], *, compress: bool = False) -> None:
    """An archive that readers of Docker's and of OCI's form take, layers plain or gzip'd."""
    stored = [_compressed(layer) if compress else layer for layer in layers]
    created = "2024-01-01T00:00:00Z"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_sha256(layer) for layer in layers]},
        "history": [{"created": created, "created_by": layer.name} for layer in layers],
    }
    kind = _OCI + "layer.v1.tar" + ("+gzip" if compress else "")
    with tarfile.open(out, "w") as archive:
        blobs = [_add_file(archive, layer, kind) for layer in stored]
        own = _add(archive, config, _OCI + "config.v1+json")
        manifest = {"schemaVersion": 2, "config": own, "layers": blobs}
        whole = _add(archive, manifest, _OCI + "manifest.v1+json")
        name = {"annotations": {"io.containerd.image.name": f"docker.io/{tag}"}}
        _write(archive, "index.json", {"schemaVersion": 2, "manifests": [whole | name]})
        _write(archive, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        row = {"Config": _path(own), "RepoTags": [tag], "Layers": [_path(b) for b in blobs]}
        _write(archive, "manifest.json", [row])


def _compressed(layer: Path) -> Path:
    out = layer.with_suffix(".tar.gz")
    _once(out, lambda part: _run("sh", "-c", f"gzip -n -6 <{layer} >{part}"))
    return out


def _path(descriptor: dict[str, Any]) -> str:
    return "blobs/" + descriptor["digest"].replace(":", "/")


def _add_file(archive: tarfile.TarFile, file: Path, kind: str) -> dict[str, Any]:
    blob = {"mediaType": kind, "digest": _sha256(file), "size": file.stat().st_size}
    archive.add(file, _path(blob))
    return blob


def _add(archive: tarfile.TarFile, document: Any, kind: str) -> dict[str, Any]:
    raw = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    blob = {"mediaType": kind, "digest": digest, "size": len(raw)}
    _write(archive, _path(blob), document)
    return blob


def _write(archive: tarfile.TarFile, name: str, document: Any) -> None:
    raw = json.dumps(document).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(raw)
    archive.addfile(entry, io.BytesIO(raw))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
