"""Steps that make layers: each knows the keys of its result, and how to come to it.

Keys come cheapest first: whoever finds one needs no more of them.  What making them took
stays at hand for `apply`, as long as the step's context is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lading.build.cache import key_of
from lading.build.copying import Arrangement, Marks, clamped, write_layer
from lading.build.instruction import Run, RunMount
from lading.build.landing import landing
from lading.build.picking import opened, pick
from lading.build.run_mounts import LayersOf, RunMounts, check_network
from lading.build.site import Site
from lading.build.state import State
from lading.build.telling import StepSaid
from lading.build.worker import Order
from lading.errors import LadingError, Unsupported
from lading.image.layers import Layer
from lading.runtime import users

_SHELL = ("/bin/sh", "-c")


class CommandFailed(LadingError):
    """Raised where a command did not end well, in Docker's words."""

    def __init__(self, command: str, exit_code: int, *, oom_killed: bool = False) -> None:
        why = ": it ran out of memory" if oom_killed else ""
        super().__init__(f"The command '{command}' returned a non-zero code: {exit_code}{why}")
        self.exit_code = exit_code


class Step(Protocol):
    """Something that leads from one state to the next."""

    def keys(self, state: State) -> Iterator[str]:
        """What the result is known by, the cheapest first."""
        ...

    def apply(self, state: State) -> Layer | None:
        """Do it: the layer that came of it, if any."""
        ...


@dataclass(frozen=True, slots=True)
class ConfigStep:
    """One that changes the config alone; *text* says all that it depends on."""

    text: str

    def keys(self, state: State) -> Iterator[str]:
        yield key_of("config", state.fingerprint, self.text)

    def apply(self, state: State) -> Layer | None:
        return None


@dataclass(frozen=True, slots=True)
class RunStep:
    """RUN: a command in a container's sandbox."""

    site: Site
    instruction: Run
    environment: dict[str, str]
    arguments: tuple[str, ...]  # the build arguments that it sees, for the key
    layers_of: LayersOf
    stage: int

    def keys(self, state: State) -> Iterator[str]:
        run, request = self.instruction, self.site.request
        yield key_of(
            *("run", state.fingerprint, list(self.argv(state)), list(self.arguments)),
            [self._mount_key(mount) for mount in run.mounts],
            *(self._network(), list(request.hosts), run.security),
            run.script.content if run.script else "",
        )

    def apply(self, state: State) -> Layer | None:
        site = self.site
        site.cancellation.check()
        if self.instruction.security != "sandbox":
            raise Unsupported("RUN --security=insecure is not supported by lading")
        with ExitStack() as undo:
            order = self._order(state, undo)
            finished = undo.enter_context(
                site.worker.run(order, on_output=self._said, guard=site.cancellation.ending)
            )
            if finished.exit_code:
                site.cancellation.check()
                raise CommandFailed(
                    " ".join(order.argv), finished.exit_code, oom_killed=finished.oom_killed
                )
            adjust = clamped(site.request.epoch)
            return site.ingest(lambda out: finished.write(out, adjust))

    def argv(self, state: State) -> tuple[str, ...]:
        return self.instruction.command.argv(shell_of(state))

    def _order(self, state: State, undo: ExitStack) -> Order:
        site, request = self.site, self.site.request
        directory = state.run.get("WorkingDir") or "/"
        mounts = RunMounts(
            site.worker,
            site.caches,
            context=site.context.root,
            work=site.work,
            layers_of=self.layers_of,
            secrets=request.secrets,
            is_cancelled=lambda: site.cancellation.is_cancelled,
        )
        run = self.instruction
        ready = mounts.ready(run.mounts, directory, run.script, undo)
        return Order(
            layers=state.diff_ids,
            argv=self.argv(state),
            environment={**self.environment, **ready.environment},
            user=state.run.get("User") or "",
            directory=directory,
            network=self._network(),
            hosts=request.hosts,
            mounts=ready.points,
            limits=request.limits,
        )

    def _network(self) -> str:
        return check_network(self.instruction.network, self.site.request.network)

    def _said(self, stream: int, content: bytes) -> None:
        self.site.tell(StepSaid(self.stage, 1 if stream == 2 else 2, content))

    def _mount_key(self, mount: RunMount) -> list[object]:
        """A mount, and what lies in it: never what a secret or a cache holds."""
        facts: list[object] = [
            *(mount.kind, mount.target, mount.source, mount.id, mount.read_only, mount.sharing),
            *(mount.size, mount.mode, mount.uid, mount.gid, mount.env),
        ]
        if mount.source_from:
            facts.append([str(layer) for layer in self.layers_of(mount.source_from)])
        elif mount.kind == "bind":
            picked = pick(self.site.context.root, [mount.source or "/"])
            facts.append(self.site.fingerprints.of(picked))
        return facts


@dataclass(frozen=True, slots=True)
class WorkdirStep:
    """WORKDIR: the directory is made where it is missing, and belongs to the user of the image."""

    site: Site
    path: str  # absolute

    def keys(self, state: State) -> Iterator[str]:
        yield key_of("workdir", state.fingerprint, self.path)

    def apply(self, state: State) -> Layer | None:
        if not state.layers:
            return self._made(None, None, (0, 0))
        with self.site.worker.view(state.diff_ids) as root, opened(root) as root_fd:
            if landing(root_fd, self.path).is_directory:
                return None
            user = users.resolve(root_fd, state.run.get("User") or "")
            return self._made(root, root_fd, (user.uid, user.gid))

    def _made(self, root: Path | None, root_fd: int | None, owner: tuple[int, int]) -> Layer | None:
        arrangement = Arrangement()
        arrangement.directory(root_fd, landing(root_fd, self.path).path)
        marks = Marks(owner=owner, epoch=self.site.request.epoch)
        made_at = self.site.time()
        return self.site.ingest(
            lambda out: write_layer(arrangement, root, marks, out, made_at=made_at)
        )


def shell_of(state: State) -> tuple[str, ...]:
    """What a command's text is given to."""
    return tuple(state.run.get("Shell") or _SHELL)
