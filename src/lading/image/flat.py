"""A root file system in one tar becomes an image of one layer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from lading.image import catalogue, edit
from lading.image.edit import Step
from lading.image.image import Image
from lading.image.library import Library
from lading.oci.platform import Platform
from lading.oci.reference import Reference


def import_tar(
    library: Library,
    stream: BinaryIO,
    *,
    reference: Reference | None = None,
    changes: Sequence[str] = (),
    message: str = "",
    platform: Platform | None = None,
) -> Image:
    """The image that the tar *stream*, compressed or not, holds; named if *reference* is given.

    *changes* are Dockerfile instructions, *message* the comment of its history.  InvalidTar,
    InvalidCompression, InvalidChange.
    """
    if reference is not None:
        catalogue.check_tag(reference)
    run = edit.apply_changes({}, changes)
    step = Step(time.time_ns(), comment=message or "Imported from -")
    image = from_tar(library, stream, step, run=run, platform=platform, reference=reference)
    name = reference.familiar if reference else str(image.id)
    library.bus.publish("image", "import", str(image.id), {"name": name})
    return image


def from_tar(
    library: Library,
    stream: BinaryIO,
    step: Step,
    *,
    run: Mapping[str, Any],
    platform: Platform | None = None,
    reference: Reference | None = None,
) -> Image:
    """The same with everything decided."""
    with library.lease() as lease:
        layer = library.layers.ingest(stream, lease)
        config = edit.first_layer(
            layer.diff_id, step, platform=platform or Platform.of_host(), run=run
        )
        names = () if reference is None else (reference,)
        return library.add(config, [layer], lease, references=names)
