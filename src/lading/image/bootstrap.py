"""A first image without any registry: from the host's busybox, or from Debian's archive."""

from __future__ import annotations

from typing import BinaryIO

from lading.image import busybox as _busybox
from lading.image import flat
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


def _keep(library: Library, tar: BinaryIO, step: Step, reference: Reference, command: str) -> Image:
    run = {"Env": [_PATH], "Cmd": [command]}
    image = flat.from_tar(library, tar, step, run=run, reference=reference)
    library.bus.publish("image", "import", str(image.id), {"name": reference.familiar})
    return image
