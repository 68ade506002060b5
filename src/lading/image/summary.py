"""One row of the list of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lading.errors import Invalid
from lading.image import times
from lading.oci.digest import Digest

_FLAGS = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}
_PRUNE_FILTERS = frozenset({"dangling", "until", "label", "label!"})


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """What the list shows of an image; a damaged one says so in *damage*.

    *tags* and *digests* are familiar references, sorted; *created* and *tagged* nanoseconds
    since 1970 (0: unknown, never); sizes in bytes, *shared* that of layers other images have too.
    """

    id: Digest
    manifest: Digest | None = None
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    created: int = 0
    tagged: int = 0
    size: int = 0
    shared: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    damage: str = ""

    @property
    def is_dangling(self) -> bool:
        return not self.tags


class PruneFilter:
    """Which images ``prune`` may take: Docker's filters dangling, until, label, label!."""

    def __init__(self, filters: Mapping[str, Sequence[str]]) -> None:
        """Invalid for a filter that does not exist, or a value that it cannot have."""
        for name in filters:
            if name not in _PRUNE_FILTERS:
                raise Invalid(f"invalid filter '{name[:80]}'")
        self._dangling = _flag(filters.get("dangling", ["true"]))
        self._before = min((times.until(text) for text in filters.get("until", ())), default=None)
        self._labels = filters.get("label", ())
        self._refused = filters.get("label!", ())

    def takes(self, image: ImageSummary) -> bool:
        """Whether *image* may go, as far as the filters are concerned."""
        return (
            (image.is_dangling or not self._dangling)
            and (self._before is None or image.created < self._before)
            and all(_has(image.labels, label) for label in self._labels)
            and not any(_has(image.labels, label) for label in self._refused)
        )


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _flag(values: Sequence[str]) -> bool:
    try:
        return all(_FLAGS[value.lower()] for value in values)
    except KeyError:
        raise Invalid(f"invalid filter 'dangling={values!r}'"[:200]) from None
