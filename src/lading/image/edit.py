"""New image configs from old ones (pure): every change is a new document with its own ID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading.image import times
from lading.image.changes import apply_changes
from lading.oci.config import ImageConfig
from lading.oci.digest import Digest
from lading.oci.documents import encode
from lading.oci.platform import Platform

__all__ = ["Step", "append_layer", "apply_changes", "first_layer"]

# What an image says of its containers; the rest of a container's config stays with it.
_RUN_FIELDS = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Healthcheck",
    "ArgsEscaped",
    "OnBuild",
    "Shell",
)
_PLATFORM_FIELDS = ("architecture", "os", "variant", "os.version", "os.features")


@dataclass(frozen=True, slots=True)
class Step:
    """How a layer came about: one entry of the history; *created* is nanoseconds since 1970."""

    created: int
    created_by: str = ""
    comment: str = ""
    author: str = ""

    def document(self, *, empty: bool) -> dict[str, Any]:
        """The entry as JSON (config.md#properties, "history")."""
        fields: dict[str, Any] = {
            "created": times.rfc3339(self.created),
            "created_by": self.created_by,
            "author": self.author,
            "comment": self.comment,
            "empty_layer": empty,
        }
        return {key: value for key, value in fields.items() if value}


def first_layer(
    diff_id: Digest, step: Step, *, platform: Platform, run: Mapping[str, Any] | None = None
) -> bytes:
    """The config of an image with one layer."""
    fields = {
        "architecture": platform.architecture,
        "os": platform.os,
        "variant": platform.variant,
    }
    return _document(fields, step, run or {}, [diff_id], [step.document(empty=False)])


def append_layer(
    base: ImageConfig, diff_id: Digest | None, step: Step, *, run: Mapping[str, Any] | None = None
) -> bytes:
    """The config of *base* with one layer more (None: a step without one).

    *run* is Docker's ``Config`` object of the new image, *base*'s own when None.
    """
    fields = {key: base.document.get(key) for key in _PLATFORM_FIELDS}
    told = list(base.document.get("history") or ()) or _untold(base)
    return _document(
        fields,
        step,
        base.run if run is None else run,
        [*base.diff_ids, *([diff_id] if diff_id else [])],
        [*told, step.document(empty=diff_id is None)],
    )


def _document(
    platform: Mapping[str, Any],
    step: Step,
    run: Mapping[str, Any],
    diff_ids: Sequence[Digest],
    history: Sequence[Mapping[str, Any]],
) -> bytes:
    document: dict[str, Any] = {"created": times.rfc3339(step.created)}
    if step.author:
        document["author"] = step.author
    document |= {key: value for key, value in platform.items() if value}
    document["config"] = {key: run[key] for key in _RUN_FIELDS if run.get(key)}
    document["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    document["history"] = list(history)
    return encode(document)


def _untold(base: ImageConfig) -> list[dict[str, Any]]:
    """An entry for each layer of an image that has no history: the counts must agree."""
    created = base.created
    return [{"created": created} if created else {} for _ in base.diff_ids]
