"""Whether an image's documents and layers say the same of each other."""

from __future__ import annotations

from collections.abc import Sequence

from lading.errors import Invalid, Unsupported
from lading.oci import mediatypes
from lading.oci.config import ImageConfig
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest

_CONFIGS = frozenset({mediatypes.OCI_CONFIG, mediatypes.DOCKER_CONFIG, ""})


class Inconsistent(Invalid):
    """Raised for an image whose parts contradict each other."""

    def __init__(self, why: str) -> None:
        super().__init__(f"invalid image: {why}")


class WrongSize(Invalid):
    """Raised for content that is longer or shorter than its descriptor says."""

    def __init__(self, descriptor: Descriptor, found: int) -> None:
        super().__init__(
            f"{descriptor.digest} has {found} bytes, and its descriptor says {descriptor.size}"
        )


class NotAnImage(Unsupported):
    """Raised for an artifact that is not a container image."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"not a container image: its config is of type {media_type[:100]!r}")


def check_manifest(manifest: Manifest) -> None:
    """NotAnImage unless *manifest* is that of a container image."""
    if manifest.config.media_type not in _CONFIGS:
        raise NotAnImage(manifest.config.media_type)


def check_config(config: ImageConfig, count: int) -> None:
    """Inconsistent unless *config* describes *count* layers, in its rootfs and its history."""
    if len(config.diff_ids) != count:
        raise Inconsistent(f"its config names {len(config.diff_ids)} layers, and it has {count}")
    told = sum(not entry.empty_layer for entry in config.history)
    if config.history and told != count:
        raise Inconsistent(f"its history tells of {told} layers, and it has {count}")


def check_layers(config: ImageConfig, found: Sequence[Digest]) -> None:
    """Inconsistent unless the layers' contents are what *config* says; *found* are diff IDs."""
    check_config(config, len(found))
    for number, (expected, actual) in enumerate(zip(config.diff_ids, found, strict=True)):
        if expected != actual:
            raise Inconsistent(f"layer {number} is {actual}, and the config says {expected}")


def check_size(descriptor: Descriptor, content: bytes) -> None:
    """WrongSize unless *content* is as long as its descriptor says."""
    check_length(descriptor, len(content))


def check_length(descriptor: Descriptor, length: int) -> None:
    """WrongSize unless content of *length* bytes fits its descriptor."""
    if descriptor.size != length:
        raise WrongSize(descriptor, length)
