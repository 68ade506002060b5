"""A backup in forms that need no lading: an image archive, tars of volumes, a script.

The archive's image has the writable layer as its last one, so that it can be loaded by any
engine and run as it is.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from lading.backup.bill import LAYER, VOLUME, Bill
from lading.backup.commandline import run_line
from lading.backup.contents import Contents
from lading.backup.depot import Depot, Stored
from lading.backup.imagery import StoredLayers
from lading.backup.tarring import tar
from lading.errors import Conflict
from lading.image import edit
from lading.image.edit import Step
from lading.image.image import Image
from lading.image.saving import ArchiveTarget, Chosen
from lading.oci import mediatypes
from lading.oci.config import ImageConfig
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.oci.reference import Reference

_IMAGE, _SCRIPT = "image.tar", "run.sh"
_FOLDERS = {VOLUME: "volumes", "bind": "binds"}


class NotEmpty(Conflict):
    """Raised where a backup is to be unpacked over other files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is not empty: name another directory")


def unpack(depot: Depot, backup: Stored, folder: Path) -> list[Path]:
    """Write everything below *folder*, which is made; the files.  NotEmpty, Corrupt."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotEmpty(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    bill, written = backup.bill, [folder / _IMAGE]
    with depot.place.held(), Contents.on(depot, bill) as contents:
        name = _write_image(depot, bill, contents, folder)
        for number, part in enumerate(bill.parts):
            if part.kind in _FOLDERS:
                path = folder / _FOLDERS[part.kind] / f"{number}-{_word(part.name)}.tar"
                path.parent.mkdir(mode=0o700, exist_ok=True)
                with path.open("xb") as out:
                    tar(depot.tree(part), contents, out)
                written.append(path)
    script = folder / _SCRIPT
    script.write_text(_script(bill, name, written[1:], folder))
    script.chmod(0o700)
    return [*written, script]


def _write_image(depot: Depot, bill: Bill, contents: Contents, folder: Path) -> str:
    """The archive; what its image is called."""
    part = bill.part(LAYER)
    assert part is not None
    name = Reference.parse(f"lading-backup/{_word(bill.container.name)}:{bill.ref[-24:].lower()}")
    scratch = folder / ".layer.tar"
    with scratch.open("x+b") as layer, (folder / _IMAGE).open("xb") as out:
        scratch.unlink()
        tar(depot.tree(part), contents, layer)
        size = layer.tell()
        layer.seek(0)
        diff_id = Digest.of_stream(layer)
        layer.seek(0)
        _archive(depot, bill, Descriptor(mediatypes.layer("none"), diff_id, size), layer, out, name)
    return name.familiar


def _archive(
    depot: Depot,
    bill: Bill,
    added: Descriptor,
    layer: BinaryIO,
    out: BinaryIO,
    name: Reference,
) -> None:
    below = Manifest.parse(bill.image.manifest)
    base = ImageConfig.parse(bill.image.config)
    step = Step(bill.created, "lading backup", f"the writable layer of {bill.container.name}", "")
    raw = edit.append_layer(base, added.digest, step, run=base.run)
    config = ImageConfig.parse(raw)
    descriptor = Descriptor(mediatypes.OCI_CONFIG, config.id, len(raw))
    manifest = Manifest.of(descriptor, [*below.layers, added])
    target = ArchiveTarget(out)
    with ExitStack() as stack:
        source = stack.enter_context(StoredLayers(depot, bill))
        for blob in below.layers:
            if not target.has(blob):
                with source.open(blob) as stream:
                    target.add(blob, stream)
    target.add(added, layer)
    for document, content in ((descriptor, raw), (manifest.descriptor, manifest.raw)):
        target.add(document, io.BytesIO(content))
    sizes = tuple(blob.size for blob in manifest.layers)
    target.finish([Chosen(Image(manifest, config, sizes), (name,))])


def _script(bill: Bill, image: str, tars: Sequence[Path], folder: Path) -> str:
    lines = ["#!/bin/sh", "# Makes the container again with Docker alone.", "set -e"]
    lines += ['cd "$(dirname "$0")"', f"docker load --input {_IMAGE}"]
    lines += _volume_lines(bill, [path.relative_to(folder) for path in tars], image)
    for network in bill.networks:
        lines.append(f"docker network create {shlex.quote(str(network.get('name')))} || true")
    return "\n".join([*lines, run_line(bill, image), ""])


def _volume_lines(bill: Bill, tars: Sequence[Path], image: str) -> list[str]:
    lines = []
    parts = [part for part in bill.parts if part.kind in _FOLDERS]
    for part, path in zip(parts, tars, strict=True):
        if part.kind == VOLUME:
            name, file = shlex.quote(part.name), shlex.quote(str(path))
            lines += [
                f"docker volume create {name}",
                f"docker create --name lading-unpack --volume {name}:/v {shlex.quote(image)} /",
                f"docker cp --archive - lading-unpack:/v < {file}",
                "docker rm lading-unpack",
            ]
        else:
            lines.append(f"# {part.name}: unpack {path} there")
    return lines


def _word(text: str) -> str:
    """Letters and digits of *text*, so that it names one file, and an image."""
    kept = "".join(c if c.isascii() and (c.isalnum()) else "-" for c in text.lower())
    return "-".join(filter(None, kept.split("-")))[:100]
