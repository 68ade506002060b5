"""What steps need of the engine to run commands and to look into layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lading.layer.pack import Adjust, Output
from lading.oci.digest import Digest
from lading.runtime.mounts import MountPoint

OnOutput = Callable[[int, bytes], None]
Guard = Callable[[Callable[[], None]], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command to run over *layers*, bottom first; *limits* are fields of ``HostConfig``."""

    layers: tuple[Digest, ...]
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    user: str = ""
    directory: str = "/"
    network: str = "default"
    hosts: tuple[str, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)


class Finished(Protocol):
    """How a command ended; `write` packs what it changed as a layer."""

    @property
    def exit_code(self) -> int: ...

    @property
    def oom_killed(self) -> bool: ...

    @property
    def write(self) -> Callable[[Output, Adjust | None], None]: ...


class Worker(Protocol):
    """Runs commands in containers' sandboxes, and shows layers as trees."""

    def run(
        self, order: Order, *, on_output: OnOutput, guard: Guard
    ) -> AbstractContextManager[Finished]:
        """The command, run to its end; what it changed is there while the context lasts."""
        ...

    def view(
        self, layers: Sequence[Digest], *, writable: bool = False
    ) -> AbstractContextManager[Path]:
        """The layers as one tree; what is written into it is gone with the context."""
        ...
