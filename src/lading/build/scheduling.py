"""The stages that a target needs, in an order that works, two at a time where they can be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from lading.build.cache import Cache
from lading.build.errors import InvalidDockerfile, Location
from lading.build.instruction import Instruction, Label
from lading.build.plan import Plan, PlannedStage, Source
from lading.build.site import Site
from lading.build.stages import Numbers, StageBuild, Surroundings
from lading.build.state import State
from lading.errors import Invalid, LadingError, Unsupported
from lading.image.errors import ImageNotFound
from lading.image.image import Image
from lading.oci.digest import Digest
from lading.oci.platform import Platform

_AT_ONCE = 2

Pull = Callable[[str, Platform, Mapping[str, Any]], None]
"""Fetch an image by its name, for a platform, with registry credentials."""


class WrongPlatform(Invalid):
    """Raised for a base image that was made for other machines."""

    def __init__(self, name: str, found: Platform, wanted: Platform) -> None:
        super().__init__(f"image {name} is for {found}, and {wanted} is wanted")


class Schedule:
    """The stages of one build; used once."""

    def __init__(
        self,
        site: Site,
        cache: Cache,
        plan: Plan,
        remember: Callable[[State], None],
        pull: Pull | None,
    ) -> None:
        self.hits: list[str] = []
        self._site, self._plan, self._pull = site, plan, pull
        self._done: dict[int, State] = {}
        self._images: dict[str, State] = {}
        self._lock = threading.RLock()
        self._around = Surroundings(
            site=site,
            cache=cache,
            layers_of=self._layers_of,
            remember=remember,
            hits=self.hits,
        )
        self._numbers = _numbered(plan, len(_labels(site, plan)))

    def run(self) -> State:
        """The target's state; the first error ends the stages beside it."""
        waiting = list(self._plan.order)
        running: dict[Future[State], int] = {}
        with ThreadPoolExecutor(_AT_ONCE, "build") as pool:
            while waiting or running:
                for index in self._startable(waiting)[: _AT_ONCE - len(running)]:
                    waiting.remove(index)
                    running[pool.submit(self._built, index)] = index
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    try:
                        self._done[running.pop(future)] = future.result()
                    except BaseException:
                        self._site.cancellation.cancel()
                        raise
        return self._done[self._plan.target]

    def _startable(self, waiting: Sequence[int]) -> list[int]:
        done = self._done.keys()
        return [index for index in waiting if self._plan.needs(index) <= done]

    def _built(self, index: int) -> State:
        stage = self._plan.stages[index]
        with _told_of(stage.base.image, stage.where):
            base = self._state_of(stage.base, stage.platform)
        extra = _labels(self._site, self._plan) if index == self._plan.target else ()
        numbers = self._numbers.get(index, Numbers(0, 0))
        return StageBuild(self._around, stage, numbers).build(base, self._plan.scope, extra)

    def _layers_of(self, name: str, where: Location) -> Sequence[Digest]:
        """The layers of what ``from=name`` means."""
        return self._state_of(self._plan.source(name, where), "").diff_ids

    def _state_of(self, source: Source, platform: str) -> State:
        wanted = Platform.parse(platform) if platform else self._site.request.platform
        if source.stage is not None:
            return self._stage_state(source.stage)
        if not source.image:
            return State.scratch(wanted)
        with self._lock:  # one look at a name: a tag that moves meanwhile changes nothing
            if source.image not in self._images:
                image = self._resolved(source.image, wanted)
                layers = tuple(self._site.library.kept(image, self._site.lease))
                self._images[source.image] = State(image.config, layers, image.id)
            return self._images[source.image]

    def _stage_state(self, index: int) -> State:
        """A stage's state; only a trigger of an image can need one that was not planned."""
        found = self._done.get(index)
        if found is not None:
            return found
        with self._lock:
            if index not in self._done:
                self._done[index] = self._built(index)
            return self._done[index]

    def _resolved(self, name: str, wanted: Platform) -> Image:
        library, request = self._site.library, self._site.request
        if request.pull:
            self._fetch(name, wanted)
        try:
            image = library.resolve(name)
        except ImageNotFound:
            if self._pull is None:
                raise
            self._fetch(name, wanted)
            image = library.resolve(name)
        self._site.lease.hold(image.id, *image.diff_ids)
        if not wanted.accepts(image.config.platform):
            raise WrongPlatform(name, image.config.platform, wanted)
        return image

    def _fetch(self, name: str, wanted: Platform) -> None:
        if self._pull is None:
            raise Unsupported(f"pulling images is not supported by lading yet: {name}")
        self._pull(name, wanted, self._site.request.credentials)


@contextmanager
def _told_of(image: str, where: Location) -> Iterator[None]:
    """Say which line's image it is that cannot be had."""
    try:
        yield
    except LadingError as error:
        if image and not isinstance(error, InvalidDockerfile):
            named = "" if image in str(error) else f"{image}: "
            error.args = (f"{where}: {named}{error}",)
        raise


def _labels(site: Site, plan: Plan) -> tuple[Instruction, ...]:
    """What ``--label`` adds after the last instruction."""
    labels = site.request.labels
    if not labels:
        return ()
    target: PlannedStage = plan.stages[plan.target]
    pairs = tuple(sorted(labels.items()))
    text = "LABEL " + " ".join(f"{name}={value}" for name, value in pairs)
    return (Label(text=text, where=target.where, pairs=pairs),)


def _numbered(plan: Plan, extra: int) -> dict[int, Numbers]:
    """The first step of each stage, counted through the stages that are built."""
    counts = {index: 1 + len(plan.stages[index].instructions) for index in plan.order}
    total, first, numbers = sum(counts.values()) + extra, 1, {}
    for index, count in counts.items():
        numbers[index] = Numbers(first, total)
        first += count
    return numbers
