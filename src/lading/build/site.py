"""What the steps of one build share: where they work, with what, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lading.build.caches import Caches
from lading.build.cancelling import Cancellation
from lading.build.context import Context
from lading.build.picking import Fingerprints
from lading.build.request import BuildRequest
from lading.build.telling import Listener
from lading.build.worker import Worker
from lading.image.layers import Layer
from lading.image.library import Library
from lading.image.streams import Written
from lading.layer.pack import Output
from lading.layer.write import END
from lading.oci.digest import Digest
from lading.store.leases import Lease

_NOTHING = Digest.of(END)  # the diff ID of a layer without members


@dataclass(frozen=True, slots=True)
class Site:
    """*work* is a directory of the build's own; *lease* holds what it stores."""

    request: BuildRequest
    context: Context
    work: Path
    worker: Worker
    library: Library
    lease: Lease
    caches: Caches
    fingerprints: Fingerprints
    cancellation: Cancellation
    tell: Listener
    now: Callable[[], int]  # nanoseconds since 1970

    def time(self) -> int:
        """When what is made now was made, by the epoch if there is one."""
        epoch = self.request.epoch
        return self.now() if epoch is None else epoch * 1_000_000_000

    def ingest(self, write: Callable[[Output], None]) -> Layer | None:
        """Keep the layer that *write* writes; None for one without members."""
        with Written(write) as tar:
            layer = self.library.layers.ingest(tar, self.lease)
        return None if layer.diff_id == _NOTHING else layer
