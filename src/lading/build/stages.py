"""One stage from its base to its last instruction: each step from the cache, or done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from lading.build import configure, history
from lading.build import instruction as words
from lading.build.cache import Cache
from lading.build.dockerfile import parse_triggers
from lading.build.errors import Location
from lading.build.expand import expand
from lading.build.instruction import Add, Cmd, Copy, Instruction, Maintainer, Workdir
from lading.build.plan import PlannedStage
from lading.build.scope import Scope
from lading.build.site import Site
from lading.build.state import Run, State
from lading.build.steps import CommandFailed, ConfigStep, RunStep, Step, WorkdirStep, shell_of
from lading.build.telling import Remarked, StageEnded, StepBegan, StepEnded
from lading.build.transfers import TransferStep
from lading.errors import LadingError
from lading.image import edit
from lading.image.layers import Layer
from lading.oci.digest import Digest

LayersOf = Callable[[str, Location], Sequence[Digest]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number of the stage's first step, and how many the build has."""

    first: int
    total: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to: its *layer*, if it made one, and when, nanoseconds since 1970."""

    cached: bool
    layer: Layer | None
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a stage is built with; *hits* gathers the keys that were of use."""

    site: Site
    cache: Cache
    layers_of: LayersOf
    remember: Callable[[State], None]
    hits: list[str]


class StageBuild:
    """The building of one stage; used once."""

    def __init__(self, around: Surroundings, stage: PlannedStage, numbers: Numbers) -> None:
        self._around, self._stage, self._numbers = around, stage, numbers
        self._site = around.site
        self._number = numbers.first
        self._author = ""

    def build(self, base: State, scope: Scope, extra: Sequence[Instruction] = ()) -> State:
        """The stage's image on *base*, with the *extra* instructions after its own."""
        began, text = time.monotonic(), _origin(self._stage)
        self._site.tell(StepBegan(self._stage.index, self._number, self._numbers.total, text))
        triggers = list(base.run.get("OnBuild") or ())
        state = base.with_run(configure.start_stage(base.run)) if triggers else base
        self._author = base.config.author
        self._ended(text, state, Outcome(False, None, 0), began)
        scope = scope.in_stage(state.environment)
        for trigger in parse_triggers(triggers, self._stage.base.image):
            state, scope = self._taken(state, scope, trigger)
        for instruction in (*self._stage.instructions, *extra):
            self._number += 1
            state, scope = self._taken(state, scope, instruction)
        self._site.tell(StageEnded(self._stage.index))
        return state

    def _taken(self, state: State, scope: Scope, instruction: Instruction) -> tuple[State, Scope]:
        """The state and the scope after one instruction."""
        self._site.cancellation.check()
        began, text = time.monotonic(), instruction.text
        self._site.tell(StepBegan(self._stage.index, self._number, self._numbers.total, text))
        expanded = expand(instruction, scope)
        scope = scope.after(expanded)
        if isinstance(expanded, Maintainer):
            self._author = expanded.author
        try:
            after, outcome = self._stepped(state, scope, expanded)
        except LadingError as error:
            self._explain(error, state, instruction)
            raise
        self._ended(text, after, outcome, began)
        return after, scope

    def _stepped(
        self, state: State, scope: Scope, instruction: Instruction
    ) -> tuple[State, Outcome]:
        run = configure.apply(state.run, instruction, has_command=state.has_command)
        state = replace(state, has_command=state.has_command or isinstance(instruction, Cmd))
        if isinstance(instruction, Workdir):
            instruction = replace(instruction, path=run["WorkingDir"])
        told = history.created_by(instruction, shell=shell_of(state), args=scope.used_args)
        with ExitStack() as undo:
            step = self._step(instruction, scope, run, told, undo)
            outcome = self._outcome(step, state, told)
        made = edit.Step(outcome.created, told, author=self._author)
        return state.then(made, layer=outcome.layer, run=run), outcome

    def _step(self, word: Instruction, scope: Scope, run: Run, told: str, undo: ExitStack) -> Step:
        site, where = self._site, word.where

        def layers_of(name: str) -> Sequence[Digest]:
            return self._around.layers_of(name, where)

        if isinstance(word, words.Run):
            environment, arguments = scope.environment, scope.used_args
            return RunStep(site, word, environment, arguments, layers_of, self._stage.index)
        if isinstance(word, Copy | Add):
            return TransferStep(site, word, layers_of, undo)
        if isinstance(word, Workdir):
            return WorkdirStep(site, str(run.get("WorkingDir") or "/"))
        return ConfigStep(told)

    def _outcome(self, step: Step, state: State, told: str) -> Outcome:
        """From the cache, where some key of the step is known; else by doing it."""
        around, missed = self._around, list[str]()
        for key in step.keys(state):
            row = None if around.site.request.no_cache else around.cache.find(key, self._site.lease)
            if row is not None:
                around.hits.append(key)
                around.cache.keep(missed, told, row.created, row.layer)
                return Outcome(True, row.layer, row.created)
            missed.append(key)
        layer = step.apply(state)
        created = self._site.time()
        around.cache.keep(missed, told, created, layer)
        return Outcome(False, layer, created)

    def _ended(self, text: str, state: State, outcome: Outcome, began: float) -> None:
        size = outcome.layer.size if outcome.layer else 0
        seconds = time.monotonic() - began
        self._site.tell(
            StepEnded(
                *(self._stage.index, self._number, text, str(state.id), outcome.cached),
                *(seconds, size),
            )
        )

    def _explain(self, error: LadingError, state: State, instruction: Instruction) -> None:
        """Say where it failed, and how to look around there."""
        lines = [f"{instruction.where}: {instruction.text[:200]}"]
        if isinstance(error, CommandFailed):
            self._around.remember(state)
            shell = shell_of(state)[0]
            lines.append(
                "To look around where it failed: "
                f"lading run --rm -it --entrypoint {shell} {state.id.hex[:12]}"
            )
        for line in lines:
            self._site.tell(Remarked(self._stage.index, line))


def _origin(stage: PlannedStage) -> str:
    """The stage's first line, with what it stands on put in."""
    base = stage.base
    named = f" AS {stage.name}" if stage.name else ""
    return f"FROM {base.image or 'scratch' if base.stage is None else base.stage}{named}"
