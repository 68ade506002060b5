"""Images as the Engine API shows them: listed, inspected, their history, their removal (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lading.api.times import SECOND, rfc3339
from lading.image.history import HistoryRow
from lading.image.image import Image
from lading.image.records import ImageRecord
from lading.image.removal import Deleted, Untagged
from lading.image.summary import ImageSummary
from lading.oci.reference import Reference

Json = dict[str, Any]
_RUN_DEFAULTS: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def summary(row: ImageSummary, *, shared: bool = False, containers: int = -1) -> Json:
    """One line of ``docker images``."""
    return {
        "Containers": containers,
        "Created": row.created // SECOND,
        "Id": str(row.id),
        "Labels": dict(row.labels) or None,
        "ParentId": row.parent,
        "RepoDigests": list(row.digests),
        "RepoTags": list(row.tags),
        "SharedSize": row.shared if shared else -1,
        "Size": row.size,
    }


def inspect(
    image: Image,
    names: Sequence[Reference],
    row: ImageRecord | None,
    *,
    driver: str,
    graph: Mapping[str, str],
) -> Json:
    """All about one image; *row* is what this host remembers of it."""
    document = image.config.document
    shown: Json = {
        "Id": str(image.id),
        "RepoTags": [name.familiar for name in names if name.digest is None],
        "RepoDigests": [name.familiar for name in names if name.digest is not None],
        "Parent": row.parent if row else "",
        "Comment": _comment(image),
        "Created": image.config.created or None,
        "DockerVersion": document.get("docker_version") or "",
        "Author": image.config.author,
        "Config": {**_RUN_DEFAULTS, **image.config.run},
        "Architecture": image.config.platform.architecture,
        "Variant": image.config.platform.variant,
        "Os": image.config.platform.os,
        "OsVersion": document.get("os.version") or "",
        "Size": image.size,
        "GraphDriver": {"Data": dict(graph) or None, "Name": driver},
        "RootFS": {"Type": "layers", "Layers": [str(layer) for layer in image.diff_ids]},
        "Metadata": {"LastTagTime": rfc3339(row.tagged if row else None)},
    }
    for name in ("Variant", "OsVersion", "Created"):
        if not shown[name]:
            del shown[name]
    return shown


def with_container_config(shown: Json, image: Image) -> Json:
    """What versions before 1.45 showed besides: the container that the image was made from."""
    document = image.config.document
    return shown | {
        "Container": document.get("container") or "",
        "ContainerConfig": {**_RUN_DEFAULTS, **(document.get("container_config") or {})},
    }


def _comment(image: Image) -> str:
    own = image.config.document.get("comment")
    last = image.config.history[-1].comment if image.config.history else ""
    return own if isinstance(own, str) and own else last


def history(rows: Sequence[HistoryRow]) -> list[Json]:
    """``docker history``, the latest step first."""
    return [
        {
            "Comment": row.comment,
            "Created": row.created // SECOND,
            "CreatedBy": row.created_by,
            "Id": str(row.image) if row.image else "<missing>",
            "Size": row.size,
            "Tags": list(row.tags) or None,
        }
        for row in rows
    ]


def removals(gone: Sequence[Untagged | Deleted]) -> list[Json]:
    """`ImageDeleteResponseItem`s."""
    return [
        {"Untagged": each.name} if isinstance(each, Untagged) else {"Deleted": str(each.digest)}
        for each in gone
    ]
