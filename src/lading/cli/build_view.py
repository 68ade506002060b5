"""A build as the user sees it: plain lines as they come, or steps that are redrawn on a terminal.

Both end with a table: each step's layer, time, and whether it came from the cache.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping

from lading.cli.faults import Fault
from lading.cli.table import aligned
from lading.cli.terminal import size as terminal_size
from lading.cli.units import size

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

    Line = Mapping[str, Any]

_WIDEST = 48
_LAST_LINES = 20  # of a failed step's output, shown again where the terminal was redrawn


class Plain:
    """Every line as it comes, on standard error."""

    def __init__(self) -> None:
        self.rows: list[Line] = []
        self._totals: dict[int, int] = {}
        self._is_fresh = True  # whether the cursor stands at the beginning of a line

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *failure: object) -> None:
        self._fresh_line()

    def show(self, line: Line) -> None:
        """One line of the engine's."""
        if "step" in line:
            step = line["step"]
            self._totals[step["number"]] = step["total"]
            self._say(f"[{step['number']}/{step['total']}] {_first(line['text'])}")
        elif "output" in line:
            self._write(str(line["output"]))
        elif "done" in line:
            self.rows.append(line)
            done = line["done"]
            told = "CACHED" if done["cached"] else f"done {line['seconds']:.1f}s"
            self._say(f"[{done['number']}/{self._totals.get(done['number'], 0)}] {told}")
        elif "remark" in line:
            self._say(str(line["remark"]))

    def _say(self, text: str) -> None:
        self._fresh_line()
        self._write(text + "\n")

    def _fresh_line(self) -> None:
        if not self._is_fresh:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            sys.stderr.write(text)
            sys.stderr.flush()
            self._is_fresh = text.endswith("\n")


class Quiet(Plain):
    """Nothing; a failed step's last output is all that is ever shown."""

    def show(self, line: Line) -> None:
        if "remark" in line:
            super().show(line)


class Live(Plain):
    """Steps that are done stay; of the one that runs the last line of output is shown beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[int, tuple[str, float]] = {}
        self._last: dict[int, list[str]] = {}

    def __exit__(self, *failure: object) -> None:
        self._clear()

    def show(self, line: Line) -> None:
        if "step" in line:
            step = line["step"]
            text = f"[{step['number']}/{step['total']}] {_first(line['text'])}"
            self._running[step["stage"]] = (text, time.monotonic())
            self._last[step["stage"]] = []
        elif "output" in line:
            kept = self._last.setdefault(line["stage"], [])
            kept += str(line["output"]).splitlines()
            del kept[:-_LAST_LINES]
        elif "done" in line:
            self.rows.append(line)
            text, _ = self._running.pop(line["done"]["stage"], (str(line["text"]), 0.0))
            told = "CACHED" if line["done"]["cached"] else f"{line['seconds']:.1f}s"
            self._keep(f"{text}  {told}")
        elif "remark" in line:
            for text in self._last.pop(line["stage"], []):
                self._keep(f"  {text}")
            self._keep(str(line["remark"]))
        self._draw()

    def _keep(self, text: str) -> None:
        self._clear()
        self._write(text + "\n")

    def _draw(self) -> None:
        """The last line: what runs, and what it said last."""
        if not self._running:
            return
        stage, (text, began) = next(iter(self._running.items()))
        said = (self._last.get(stage) or [""])[-1]
        line = f"{text}  {time.monotonic() - began:.1f}s  {said}"
        width = max((terminal_size()[1] or 80) - 1, 20)
        clean = "".join(letter if letter.isprintable() else " " for letter in line)
        self._write(f"\r\x1b[K{clean[:width]}")

    def _clear(self) -> None:
        self._write("\r\x1b[K")
        self._is_fresh = True


def chosen(progress: str, *, quiet: bool, terminal: bool) -> Plain:
    """The view that ``--progress`` asks for; Fault."""
    if progress not in ("auto", "plain", "tty", "quiet"):
        raise Fault(f"invalid progress mode {progress!r}: expected auto, plain, tty or quiet")
    if progress == "tty" and not terminal:
        raise Fault("failed to get console: standard error is not a terminal")
    if quiet or progress == "quiet":
        return Quiet()
    return Live() if progress == "tty" or (progress == "auto" and terminal) else Plain()


def table(rows: list[Line]) -> str:
    """Each step, its layer's size, how long it took, and whether it was in the cache."""
    lines = [("STEP", "SIZE", "TIME", "CACHED"), *_cells(rows)]
    return aligned(lines)


def _cells(rows: list[Line]) -> Iterator[tuple[str, str, str, str]]:
    for row in sorted(rows, key=lambda each: each["done"]["number"]):
        layer = size(row["size"], 3) if row["size"] else "-"
        cached = "yes" if row["done"]["cached"] else "no"
        cached = "-" if row["text"].startswith("FROM ") else cached
        yield _first(row["text"])[:_WIDEST], layer, f"{row['seconds']:.1f}s", cached


def _first(text: str) -> str:
    """An instruction's first line."""
    return str(text).partition("\n")[0]
