"""An image as a value: what names it, how to run it, which layers it stands on."""

from __future__ import annotations

from dataclasses import dataclass

from lading.oci.config import ImageConfig, chain_ids
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Image:
    """*sizes* are the bytes of each layer's uncompressed tar, bottom first."""

    manifest: Manifest
    config: ImageConfig
    sizes: tuple[int, ...]

    @property
    def id(self) -> Digest:
        """The config's digest, under which it is also stored."""
        return self.manifest.config.digest

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers, bottom first, as snapshotters know them."""
        return self.config.diff_ids

    @property
    def chain_ids(self) -> tuple[Digest, ...]:
        """The stacks of layers, bottom first."""
        return tuple(chain_ids(self.config.diff_ids))

    @property
    def size(self) -> int:
        """Bytes of all layers together."""
        return sum(self.sizes)
