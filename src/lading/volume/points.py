"""Read the ways of asking for a mount (``-v``, ``--mount``, ``--tmpfs``, VOLUME) into one value.

Everything but `check_source` is pure.  Words of refusal are Docker's, which scripts know.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lading.errors import Invalid
from lading.volume.names import check_name
from lading.volume.tmpfs import tmpfs_from_mount, tmpfs_options
from lading.volume.values import MountPoint

_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated", "default"})
_FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    frozenset({"nocopy"}),
    _PROPAGATION,
    _CONSISTENCY,
)
_OWN_PROCESS = re.compile(r"/proc/(self|thread-self)(/|$)")


class InvalidMount(Invalid):
    """Raised for a mount that cannot be meant."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f'invalid mount config for type "{kind}": {reason}')


class DuplicateMountPoint(Invalid):
    """Raised where two mounts want one destination."""

    def __init__(self, destination: str) -> None:
        super().__init__(f"Duplicate mount point: {destination}")


class _BindOptions(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class _DriverConfig(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    name: str = ""
    options: dict[str, str] | None = None


class _VolumeOptions(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: _DriverConfig | None = None
    subpath: str = ""


class _TmpfsOptions(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class _Mount(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    type: str = "volume"
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: _BindOptions | None = None
    volume_options: _VolumeOptions | None = None
    tmpfs_options: _TmpfsOptions | None = None


def from_bind(text: str) -> MountPoint:
    """Read one of ``HostConfig.Binds``: ``[source:]destination[:options]``; Invalid."""
    source, target, mode = _split(text)
    try:
        return _bind_point(source, target, mode)
    except Invalid as error:
        raise Invalid(f"invalid volume specification: '{text}': {error}") from None


def from_mount(mount: Mapping[str, Any]) -> MountPoint:
    """Read one of ``HostConfig.Mounts``, an object with Docker's field names; Invalid."""
    try:
        asked = msgspec.convert(dict(mount), _Mount)
    except msgspec.ValidationError as error:
        raise InvalidMount(str(mount.get("Type", "")), str(error)) from None
    makers = {"bind": _mounted_bind, "volume": _mounted_volume, "tmpfs": _mounted_tmpfs}
    if asked.type not in makers:
        raise InvalidMount(asked.type, "mount type unknown")
    _refuse_foreign_options(asked)
    return makers[asked.type](asked)


def from_tmpfs(destination: str, options: str) -> MountPoint:
    """Read one of ``HostConfig.Tmpfs``: a destination and its comma-separated options."""
    return MountPoint(
        "tmpfs",
        _destination("tmpfs", destination),
        mode=options,
        read_only="ro" in options.split(","),
        tmpfs_options=tmpfs_options(options),
    )


def collect(
    binds: Iterable[str] = (),
    mounts: Iterable[Mapping[str, Any]] = (),
    tmpfs: Mapping[str, str] | None = None,
    declared: Iterable[str] = (),
) -> tuple[MountPoint, ...]:
    """Everything to mount in one container, parents before children.

    *declared* are the image's and the configuration's VOLUMEs: each becomes an
    anonymous volume unless something else is mounted there.
    """
    points: dict[str, MountPoint] = {}
    wanted = [from_bind(text) for text in binds] + [from_mount(mount) for mount in mounts]
    wanted += [from_tmpfs(where, options) for where, options in (tmpfs or {}).items()]
    for point in wanted:
        if point.destination in points:
            raise DuplicateMountPoint(point.destination)
        points[point.destination] = point
    for text in declared:
        destination = _destination("volume", "/" + text)
        points.setdefault(destination, MountPoint("volume", destination, driver="local"))
    return tuple(points[where] for where in sorted(points, key=_depth_first))


def check_source(point: MountPoint) -> None:
    """See to it that a bind's source is there; a missing one is made (root's) only for ``-v``."""
    if point.kind != "bind":
        return
    source = Path(point.source)
    if _OWN_PROCESS.match(point.source) or f"/proc/{os.getpid()}" in str(source.resolve()):
        raise InvalidMount("bind", f"bind source path is the engine's own: {point.source}")
    if os.path.lexists(source):
        return
    if not point.create_source:
        raise InvalidMount("bind", f"bind source path does not exist: {point.source}")
    try:
        source.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidMount(
            "bind", f"cannot make the bind source path {point.source}: {error.strerror}"
        ) from None


def _split(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if not parts[0] or len(parts) > 3 or "\0" in text:
        raise Invalid(f"invalid volume specification: '{text}'")
    if len(parts) == 3:
        if not parts[1]:
            raise Invalid(f"invalid volume specification: '{text}'")
        _check_mode(parts[2])
        return parts[0], parts[1], parts[2]
    if len(parts) == 2 and _is_mode(parts[1]):
        return "", parts[0], parts[1]
    return ("", parts[0], "") if len(parts) == 1 else (parts[0], parts[1], "")


def _is_mode(mode: str) -> bool:
    words = mode.split(",")
    known = all(any(word in family for family in _FAMILIES) for word in words)
    return known and all(sum(word in family for word in words) <= 1 for family in _FAMILIES)


def _check_mode(mode: str) -> None:
    if mode and not _is_mode(mode):
        raise Invalid(f"invalid mode: {mode}")


def _bind_point(source: str, target: str, mode: str) -> MountPoint:
    words = set(mode.split(","))
    propagation = next(iter(words & _PROPAGATION), "")
    point = MountPoint("volume", _destination("volume", target), read_only="ro" in words, mode=mode)
    if source.startswith("/"):
        if "nocopy" in words:
            raise Invalid(f"invalid mode: {mode}")
        return replace(
            point,
            kind="bind",
            source=_clean(source),
            propagation=propagation or "rprivate",
            create_source=True,
        )
    if propagation:
        raise InvalidMount("volume", "field BindOptions must not be specified")
    if source:
        check_name(source)
    return replace(point, name=source or None, driver="local", no_copy="nocopy" in words)


def _mounted_bind(asked: _Mount) -> MountPoint:
    options = asked.bind_options or _BindOptions()
    if not asked.source:
        raise InvalidMount("bind", "field Source must not be empty")
    if not asked.source.startswith("/") or "\0" in asked.source:
        raise InvalidMount(
            "bind", f"invalid mount path: '{asked.source}' mount path must be absolute"
        )
    if options.propagation and options.propagation not in _PROPAGATION:
        raise InvalidMount("bind", f"invalid propagation mode: {options.propagation}")
    if options.read_only_force_recursive and not asked.read_only:
        raise InvalidMount("bind", "mount must be read-only to be recursively read-only")
    return MountPoint(
        "bind",
        _destination("bind", asked.target),
        source=_clean(asked.source),
        read_only=asked.read_only,
        propagation=options.propagation or "rprivate",
        recursive=not options.non_recursive,
        recursive_read_only=_recursion(options),
        create_source=options.create_mountpoint,
    )


def _recursion(options: _BindOptions) -> bool | None:
    if options.read_only_force_recursive:
        return True
    return False if options.read_only_non_recursive else None


def _mounted_volume(asked: _Mount) -> MountPoint:
    options = asked.volume_options or _VolumeOptions()
    driver = options.driver_config or _DriverConfig()
    if asked.source:
        check_name(asked.source)
    if options.subpath:
        _check_subpath(options.subpath, named=bool(asked.source))
    return MountPoint(
        "volume",
        _destination("volume", asked.target),
        name=asked.source or None,
        read_only=asked.read_only,
        mode="z",
        no_copy=options.no_copy,
        subpath=options.subpath,
        driver=driver.name or "local",
        driver_options=driver.options or {},
        labels=options.labels or {},
    )


def _mounted_tmpfs(asked: _Mount) -> MountPoint:
    options = asked.tmpfs_options or _TmpfsOptions()
    if asked.source:
        raise InvalidMount("tmpfs", "field Source must not be specified")
    if options.size_bytes < 0:
        raise InvalidMount("tmpfs", "size must not be negative")
    words = tmpfs_from_mount(
        options.size_bytes, options.mode, options.options or [], read_only=asked.read_only
    )
    return MountPoint(
        "tmpfs",
        _destination("tmpfs", asked.target),
        read_only=asked.read_only,
        tmpfs_options=words,
    )


def _refuse_foreign_options(asked: _Mount) -> None:
    """Options of another type would be ignored in silence: refuse them by name."""
    if asked.consistency and asked.consistency not in _CONSISTENCY:
        raise InvalidMount(asked.type, f"invalid consistency: {asked.consistency}")
    for kind in ("bind", "volume", "tmpfs"):
        if kind != asked.type and getattr(asked, f"{kind}_options") is not None:
            raise InvalidMount(
                asked.type, f"field {kind.capitalize()}Options must not be specified"
            )


def _check_subpath(subpath: str, *, named: bool) -> None:
    if not named:
        raise InvalidMount("volume", "must not set Subpath when using anonymous volumes")
    parts: Sequence[str] = subpath.split("/")
    if subpath.startswith("/") or ".." in parts or "\0" in subpath:
        raise InvalidMount("volume", "subpath must be a relative path within the volume")


def _destination(kind: str, target: str) -> str:
    if not target:
        raise InvalidMount(kind, "field Target must not be empty")
    if not target.startswith("/") or "\0" in target:
        raise InvalidMount(kind, f"invalid mount path: '{target}' mount path must be absolute")
    destination = _clean(target)
    if destination == "/":
        raise InvalidMount(kind, "invalid specification: destination can't be '/'")
    return destination


def _clean(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def _depth_first(destination: str) -> tuple[int, str]:
    return destination.count("/"), destination
