"""``-v``, ``--mount`` and ``--tmpfs``: what is mounted into the container."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping

from lading.cli.units import read_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Mount = dict[str, Any]

_SWITCHES = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive")
_TRUE = ("1", "true", "t", "T", "TRUE", "True")
_FALSE = ("0", "false", "f", "F", "FALSE", "False")


def volumes(specs: Iterable[str]) -> tuple[list[str], dict[str, object]]:
    """HostConfig.Binds and Config.Volumes for ``-v`` values."""
    binds: list[str] = []
    anonymous: dict[str, object] = {}
    for spec in specs:
        source, colon, rest = spec.partition(":")
        if not spec or (colon and not source):
            raise ValueError(f"invalid volume specification: '{spec}'")
        if not colon:
            anonymous[spec] = {}
        elif source.startswith("."):
            binds.append(f"{posixpath.abspath(source)}:{rest}")
        else:
            binds.append(spec)
    return binds, anonymous


def tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """HostConfig.Tmpfs for ``--tmpfs`` values."""
    split = (spec.partition(":") for spec in specs)
    return {path: options for path, _, options in split}


def mount(spec: str) -> Mount:
    """One mount of HostConfig.Mounts for a ``--mount`` value; ValueError where it is wrong."""
    found: Mount = {"Type": "volume"}
    for field in _fields(spec):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals and key not in _SWITCHES:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        setter = _SETTERS.get(key)
        if setter is None:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        setter(found, key, value if equals else "true")
    return _checked(found)


def _fields(spec: str) -> list[str]:
    """A line of comma-separated values; quotes protect commas."""
    if '"' not in spec:
        return spec.split(",")
    import csv

    try:
        rows = list(csv.reader([spec], strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return rows[0] if rows else []


def _checked(found: Mount) -> Mount:
    kind = found["Type"]
    if not found.get("Target"):
        raise ValueError("target is required")
    own = {"VolumeOptions": "volume", "BindOptions": "bind", "TmpfsOptions": "tmpfs"}
    for options, owner in own.items():
        if found.get(options) and kind != owner:
            raise ValueError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    return found


def _type(found: Mount, _: str, value: str) -> None:
    found["Type"] = value.lower()


def _source(found: Mount, _: str, value: str) -> None:
    relative = value == "." or value.startswith(("./", ".."))
    found["Source"] = posixpath.abspath(value) if relative else value


def _plain(name: str) -> Callable[[Mount, str, str], None]:
    def keep(found: Mount, _: str, value: str) -> None:
        found[name] = value

    return keep


def _read_only(found: Mount, key: str, value: str) -> None:
    found["ReadOnly"] = _truth(key, value)


def _nested(group: str, name: str, read: Callable[[str, str], Any]) -> Callable[..., None]:
    def keep(found: Mount, key: str, value: str) -> None:
        found.setdefault(group, {})[name] = read(key, value)

    return keep


def _pairs(group: str, *path: str) -> Callable[..., None]:
    def keep(found: Mount, _: str, value: str) -> None:
        place = found.setdefault(group, {})
        for name in path:
            place = place.setdefault(name, {})
        key, _, text = value.partition("=")
        place[key] = text

    return keep


def _driver(found: Mount, _: str, value: str) -> None:
    options = found.setdefault("VolumeOptions", {})
    options.setdefault("DriverConfig", {})["Name"] = value


def _recursive(found: Mount, _: str, value: str) -> None:
    wanted: Mapping[str, Mapping[str, bool]] = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in wanted:
        allowed = '"enabled", "disabled", "writable", or "readonly"'
        raise ValueError(f"invalid value for bind-recursive: {value} (must be {allowed})")
    found.setdefault("BindOptions", {}).update(wanted[value])


def _truth(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ValueError(f"invalid value for {key}: {value}")


def _text(_: str, value: str) -> str:
    return value


def _bytes(key: str, value: str) -> int:
    try:
        return read_size(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _mode(key: str, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


_SETTERS: Mapping[str, Callable[[Mount, str, str], None]] = {
    "type": _type,
    "source": _source,
    "src": _source,
    "target": _plain("Target"),
    "dst": _plain("Target"),
    "destination": _plain("Target"),
    "readonly": _read_only,
    "ro": _read_only,
    "consistency": _plain("Consistency"),
    "bind-propagation": _nested("BindOptions", "Propagation", _text),
    "bind-nonrecursive": _nested("BindOptions", "NonRecursive", _truth),
    "bind-recursive": _recursive,
    "bind-create-src": _nested("BindOptions", "CreateMountpoint", _truth),
    "volume-nocopy": _nested("VolumeOptions", "NoCopy", _truth),
    "volume-subpath": _nested("VolumeOptions", "Subpath", _text),
    "volume-driver": _driver,
    "volume-label": _pairs("VolumeOptions", "Labels"),
    "volume-opt": _pairs("VolumeOptions", "DriverConfig", "Options"),
    "tmpfs-size": _nested("TmpfsOptions", "SizeBytes", _bytes),
    "tmpfs-mode": _nested("TmpfsOptions", "Mode", _mode),
}
