"""A first image without any registry: from the host's busybox, or from Debian's archive."""

from __future__ import annotations

import time
from pathlib import Path
from typing import BinaryIO

from lading.image import busybox as _busybox
from lading.image import flat, mmdebstrap
from lading.image.busybox import Busybox
from lading.image.edit import Step
from lading.image.image import Image
from lading.image.library import Library
from lading.image.progress import Listener, Progress, silent
from lading.image.streams import Written
from lading.oci.reference import Reference

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECOND = 1_000_000_000


def busybox(
    library: Library, *, reference: Reference | None = None, on_progress: Listener = silent
) -> Image:
    """An image of the host's static busybox, ``busybox:latest`` by default; NoBusybox.

    The same busybox gives the same image.
    """
    source = Busybox.of_host()
    on_progress(Progress("busybox", f"Packing {source.path}"))
    step = Step(
        source.mtime * _SECOND, created_by=f"lading image bootstrap busybox ({source.path})"
    )
    with Written(lambda out: _busybox.write_tar(source, out)) as tar:
        return _keep(library, tar, step, reference or Reference.parse("busybox"), "sh")


def debian(
    library: Library,
    *,
    suite: str = "",
    reference: Reference | None = None,
    on_progress: Listener = silent,
) -> Image:
    """An image of a minimal Debian, ``debian:SUITE`` by default, the host's own suite or stable.

    NoMmdebstrap, InvalidSuite, MmdebstrapFailed.
    """
    suite = mmdebstrap.check_suite(suite or _suite_of_host())
    step = Step(time.time_ns(), created_by=f"lading image bootstrap debian ({suite})")
    with mmdebstrap.tar_of(suite, lambda line: on_progress(Progress("debian", line))) as tar:
        return _keep(library, tar, step, reference or Reference.parse(f"debian:{suite}"), "bash")


def _suite_of_host(release: Path = Path("/etc/os-release")) -> str:
    """What this host runs, if it is Debian; the latest stable release elsewhere."""
    try:
        lines = release.read_text().splitlines()
    except OSError:
        return "stable"
    fields = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    codename = fields.get("VERSION_CODENAME", "")
    return codename if fields.get("ID") == "debian" and codename else "stable"


def _keep(library: Library, tar: BinaryIO, step: Step, reference: Reference, command: str) -> Image:
    run = {"Env": [_PATH], "Cmd": [command]}
    image = flat.from_tar(library, tar, step, run=run, reference=reference)
    library.bus.publish("image", "import", str(image.id), {"name": reference.familiar})
    return image
