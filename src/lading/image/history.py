"""How an image came about, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lading.image import times
from lading.image.image import Image
from lading.oci.digest import Digest
from lading.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One step; *image* is None where no image of it is known.

    *created* is nanoseconds since 1970 (0: unknown), *size* bytes: 0 for a step without a layer.
    """

    image: Digest | None
    created: int
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...]
    empty_layer: bool


def history(image: Image, names: Sequence[Reference]) -> list[HistoryRow]:
    """The steps of *image*, the latest first; the first row is the image itself."""
    tags = tuple(name.familiar for name in names if name.digest is None)
    rows = _steps(image)
    if rows:
        rows[-1] = _named(rows[-1], image.id, tags)
    return rows[::-1]


def _steps(image: Image) -> list[HistoryRow]:
    if not image.config.history:
        created = times.parse(image.config.created) or 0
        return [HistoryRow(None, created, "", "", size, (), False) for size in image.sizes]
    sizes = iter(image.sizes)
    return [
        HistoryRow(
            None,
            times.parse(entry.created) or 0,
            entry.created_by,
            entry.comment,
            0 if entry.empty_layer else next(sizes, 0),
            (),
            entry.empty_layer,
        )
        for entry in image.config.history
    ]


def _named(row: HistoryRow, image: Digest, tags: tuple[str, ...]) -> HistoryRow:
    return HistoryRow(
        image, row.created, row.created_by, row.comment, row.size, tags, row.empty_layer
    )
