"""Progress of long jobs: bars on a terminal, nothing in a pipe.

The engine tells how far it is in lines of JSON, Docker's `jsonmessage`; what the command
itself sends or receives is counted beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from lading.cli.faults import Fault

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

    from rich.progress import Progress, TaskID

Advance = Callable[[int], None]


class Bars:
    """While entered, bars are drawn on standard output, if *wanted*."""

    def __init__(self, *, wanted: bool, stderr: bool = False) -> None:
        self._progress: Progress | None = _progress(stderr=stderr) if wanted else None
        self._tasks: dict[str, TaskID] = {}
        self._out = sys.stderr if stderr else sys.stdout

    def __enter__(self) -> Bars:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    @property
    def drawn(self) -> bool:
        """Whether anybody sees the bars."""
        return self._progress is not None

    def counting(self, label: str, total: int = 0) -> Advance:
        """A bar for bytes; the answer takes how many more there were, from any thread."""
        progress = self._progress
        if progress is None:
            return _ignored
        task = progress.add_task(label, total=total or None)
        return lambda count: progress.advance(task, count)

    def show(self, line: Mapping[str, Any]) -> None:
        """One line of the engine's; Fault where it tells of a failure."""
        if "error" in line:
            detail = line.get("errorDetail") or {}
            raise Fault(str(detail.get("message") or line["error"]))
        if "stream" in line:
            self.say(str(line["stream"]).rstrip("\n"))
        elif line.get("id") and line.get("status"):
            self._draw(line)

    def say(self, text: str) -> None:
        """A line that stays, above the bars."""
        if self._progress is None:
            print(text, file=self._out, flush=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, line: Mapping[str, Any]) -> None:
        if self._progress is None:
            return
        identity, detail = str(line["id"]), line.get("progressDetail") or {}
        if identity not in self._tasks:
            self._tasks[identity] = self._progress.add_task("", total=None)
        self._progress.update(
            self._tasks[identity],
            description=f"{identity[:19]} {line['status']}",
            completed=detail.get("current", 0),
            total=detail.get("total") or None,
        )


def _ignored(count: int) -> None:
    """Nobody looks."""


def _progress(*, stderr: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=stderr),
    )
