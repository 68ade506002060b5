"""The images that the benchmark works on, made from Debian packages once and then kept.

(a) *base*: a Debian minbase of about 170 MB; (b) *large*: the same and a second layer
of at least 30,000 files and 400 MB.  Both as plain and gzip'd docker-archives.
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
from pathlib import Path

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


@dataclass(frozen=True)
class Inputs:
    """Where the generated archives lie."""

    base_tar: Path
    base: Path
    large: Path
    large_gzip: Path


def make(folder: Path) -> Inputs:
    """Make what is missing in *folder* (some minutes the first time)."""
    folder.mkdir(parents=True, exist_ok=True)
    base_tar, extra_tar = folder / "base.tar", folder / "extra.tar"
    _once(base_tar, lambda part: _run("mmdebstrap", "--variant=minbase", SUITE, str(part)))
    _once(extra_tar, _extra_layer)
    found = Inputs(base_tar, folder / "base-image.tar", folder / "large.tar", folder / "large.tgz")
    _once(found.base, lambda part: _archive(part, "bench/base:1", [base_tar]))
    _once(found.large, lambda part: _archive(part, "bench/large:1", [base_tar, extra_tar]))
    _once(found.large_gzip, lambda part: _run("sh", "-c", f"gzip -6 <{found.large} >{part}"))
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


def _archive(out: Path, tag: str, layers: list[Path]) -> None:
    """A docker-archive as ``docker save`` writes it, layers uncompressed."""
    digests = [_sha256(layer) for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": str(n)} for n in digests],
    }
    raw = json.dumps(config).encode()
    name = hashlib.sha256(raw).hexdigest() + ".json"
    names = [f"{d}/layer.tar" for d in digests]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(out, "w") as archive:
        for layer, member in zip(layers, names, strict=True):
            archive.add(layer, member)
        for member, content in ((name, raw), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
