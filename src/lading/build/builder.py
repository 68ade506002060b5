"""Build an image: read the Dockerfile, plan, build the stages the target needs, and name it.

Nothing is named before all of it is durable.  A build that fails, is cancelled or dies with
its engine leaves complete steps in the cache and nothing else.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from lading.build import checks, squashing
from lading.build.cache import Cache
from lading.build.caches import Caches
from lading.build.cancelling import Cancellation
from lading.build.checks import BuildWarning
from lading.build.context import Context, received
from lading.build.dockerfile import Dockerfile, parse
from lading.build.picking import Fingerprints
from lading.build.plan import Plan, plan, unused_build_args
from lading.build.request import BuildRequest, Built
from lading.build.scheduling import Pull, Schedule
from lading.build.scope import Scope
from lading.build.site import Site
from lading.build.state import State
from lading.build.telling import InTurn, Listener, Remarked
from lading.build.worker import Worker
from lading.image import catalogue
from lading.image.errors import ImageNotFound
from lading.image.image import Image
from lading.image.library import Library
from lading.linux.mounts import unmount_below
from lading.oci.platform import Platform
from lading.store.leases import Lease

_REMEMBERED = 32  # states of failed steps that can be looked at


class Builder:
    """Builds images below one root; safe to use from any thread."""

    def __init__(
        self,
        folder: Path,
        library: Library,
        worker: Worker,
        cache: Cache,
        *,
        pull: Pull | None = None,
    ) -> None:
        """*folder* holds builds at work and cache directories; *pull* fetches base images."""
        self._work, self.caches = folder / "work", Caches(folder / "caches")
        self._library, self._worker, self.cache, self._pull = library, worker, cache, pull
        self._failed: OrderedDict[str, State] = OrderedDict()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Clear away what builds left that were cut off; before the first build."""
        unmount_below(self._work)
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.caches.sweep()

    def build(
        self,
        request: BuildRequest,
        stream: BinaryIO | None,
        *,
        tell: Listener,
        cancellation: Cancellation,
    ) -> Built:
        """The image, named and durable; *stream* is the context's tar.

        InvalidDockerfile, CommandFailed, Cancelled, and what steps raise.
        """
        for reference in request.references:
            catalogue.check_tag(reference)
        place = self._work / token_hex(8)
        with ExitStack() as stack:
            context = stack.enter_context(received(stream, place))
            dockerfile, scope, found = self._read(request, context)
            checks.refuse(dockerfile, found)
            planned = plan(dockerfile, scope, request.target)
            lease = stack.enter_context(self._library.lease())
            turns = InTurn(planned.order, tell)
            stack.callback(turns.flush)
            site = Site(
                *(request, context, place, self._worker, self._library, lease, self.caches),
                *(Fingerprints(), cancellation, turns.tell, time.time_ns),
            )
            schedule = Schedule(site, self.cache, planned, self._remember, self._pull)
            state = schedule.run()
            self.cache.touch(schedule.hits)
            cancellation.check()
            turns.flush()
            for text in _unused(planned, request):
                tell(Remarked(planned.target, text))
            image = self._kept(request, state, lease, site)
            return Built(image, tuple(name.familiar for name in request.references), found)

    def check(self, request: BuildRequest, stream: BinaryIO | None) -> tuple[BuildWarning, ...]:
        """What is dubious in the Dockerfile, without building anything; InvalidDockerfile."""
        with received(stream, self._work / token_hex(8)) as context:
            return self._read(request, context)[2]

    def recall(self, prefix: str) -> Image | None:
        """The image in which a step failed, by the beginning of its ID; None for others.

        It becomes an image only now that somebody asks for it.
        """
        with self._lock:
            found = [state for key, state in self._failed.items() if key.startswith(prefix)]
        if len(found) != 1 or len(prefix) < 4:
            return None
        state = found[0]
        with self._library.lease() as lease:
            layers = [self._library.layers.find(each.blob.digest, lease) for each in state.layers]
            whole = [layer for layer in layers if layer is not None]
            if len(whole) < len(layers):
                return None
            return self._library.add(state.config.raw, whole, lease, parent=state.base)

    def _remember(self, state: State) -> None:
        with self._lock:
            self._failed[state.id.hex] = state
            while len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)

    def _read(
        self, request: BuildRequest, context: Context
    ) -> tuple[Dockerfile, Scope, tuple[BuildWarning, ...]]:
        """The Dockerfile, its global scope, and what is dubious in it."""
        name, text = _named(request, context)
        ignore = None if request.is_filtered else context.ignore(name)
        if ignore is not None:
            context.prune(ignore)
        dockerfile = parse(text, name)
        scope = Scope.of_file(
            dockerfile.args,
            request.build_args,
            target=request.platform,
            host=Platform.of_host(),
            target_stage=request.target or "default",
            escape=dockerfile.directives.escape,
        )
        return dockerfile, scope, checks.check(dockerfile, scope, ignore=ignore)

    def _kept(self, request: BuildRequest, state: State, lease: Lease, site: Site) -> Image:
        """The image recorded under its names; one that is here already only gets them."""
        if request.squash:
            state = squashing.squashed(state, site)
        try:
            image = self._library.image(state.id)
        except ImageNotFound:
            image = self._library.add(
                state.config.raw,
                state.layers,
                lease,
                references=request.references,
                parent=state.base,
            )
            for reference in request.references:
                self._library.bus.publish(
                    "image", "tag", str(image.id), {"name": reference.familiar}
                )
            return image
        for reference in request.references:
            self._library.tag(image.id, reference)
        return image


def _named(request: BuildRequest, context: Context) -> tuple[str, bytes]:
    """The Dockerfile: what it is called, and its text; NoDockerfile."""
    if request.text is not None:
        return request.dockerfile or "Dockerfile", request.text
    return context.dockerfile(request.dockerfile)


def _unused(planned: Plan, request: BuildRequest) -> tuple[str, ...]:
    names = unused_build_args(planned, request.build_args)
    if not names:
        return ()
    return (f"[Warning] One or more build-args [{' '.join(names)}] were not consumed",)
