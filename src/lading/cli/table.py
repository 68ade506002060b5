"""Columns, aligned as Docker aligns them: Go's tabwriter with cells of ten and gaps of three.

A cell ends with a tab; what follows a line's last tab is not padded.  Lines that follow
one another share the width of a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_LEAST = 10
_GAP = 3

Line = Sequence[str]


def aligned(lines: Sequence[Line], least: int = _LEAST) -> str:
    """The lines with their cells padded to *least* or more, each ended by a newline."""
    widths: list[list[int]] = [[] for _ in lines]
    for column in range(max(map(len, lines), default=0) - 1):
        for start, end in _runs(lines, column):
            widest = max(len(line[column]) for line in lines[start:end])
            for row in range(start, end):
                widths[row].append(max(least, widest + _GAP))
    return "".join(map(_padded, lines, widths))


def of_text(text: str) -> str:
    """Text whose cells are separated by tabs, aligned."""
    return aligned([line.split("\t") for line in text.splitlines()])


def _runs(lines: Sequence[Line], column: int) -> Iterator[tuple[int, int]]:
    """The runs of lines in which the column is a padded cell."""
    start = 0
    for row in range(len(lines) + 1):
        if row == len(lines) or len(lines[row]) - 1 <= column:
            if row > start:
                yield start, row
            start = row + 1


def _padded(line: Line, widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
    return "".join([*padded, line[-1] if line else "", "\n"])
