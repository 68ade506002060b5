"""What of a container is captured, and where it lies on this host (nothing is changed here)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lading.backup.bill import BIND, VOLUME
from lading.backup.capture import Listing
from lading.backup.looking import Found, everything, excluding
from lading.container.record import Container
from lading.errors import Invalid, NotFound
from lading.network.values import NetworkMode
from lading.volume.values import MountPoint, Volume

MODES = ("pause", "stop", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to back up, and how.

    *pre* and *post* are commands for a shell in each container; *binds* are the host's paths
    whose content is wanted too; *exclude* are globs of what is left out.  Without *hooks* none of
    the commands is run, whatever labels say.
    """

    names: tuple[str, ...] = ()
    everything: bool = False
    labels: tuple[str, ...] = ()
    consistency: str = "pause"
    pre: str = ""
    post: str = ""
    binds: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hooks: bool = True


@dataclass(frozen=True, slots=True)
class PartSource:
    """A volume or a bind: *kind* and *name* are the part's."""

    kind: str
    name: str
    path: Path
    listing: Listing
    labels: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name


def check(request: BackupRequest) -> None:
    """Invalid for what cannot be meant."""
    if request.consistency not in MODES:
        raise Invalid(
            f"invalid consistency {request.consistency[:80]!r}: one of {', '.join(MODES)}"
        )
    if not (request.names or request.everything or request.labels):
        raise Invalid("no container to back up is named")
    for path in request.binds:
        if not path.startswith("/"):
            raise Invalid(f"--include-bind takes an absolute path: {path[:200]!r}")


def chosen(request: BackupRequest, containers: Sequence[Container]) -> list[Container]:
    """Those of *containers* that are meant beside the named ones: all, or by their labels."""
    if request.everything:
        return list(containers)
    return [each for each in containers if request.labels and _has(each, request.labels)]


def mounted(
    container: Container, request: BackupRequest, volume: Callable[[str], Volume]
) -> list[PartSource]:
    """The volumes of *container*, and the binds that are asked for, each once."""
    is_excluded = excluding(request.exclude)

    def listing(top: int) -> Iterable[Found]:
        return everything(top, is_excluded)

    found: dict[tuple[str, str], PartSource] = {}
    for point in container.mounts:
        if point.kind == "volume" and point.name:
            kept = volume(point.name)
            labels = dict(kept.labels)
            source = PartSource(VOLUME, kept.name, kept.path, listing, labels, kept.anonymous)
            found[source.key] = source
        elif point.kind == "bind" and _is_wanted(point, request):
            found[BIND, point.source] = PartSource(BIND, point.source, Path(point.source), listing)
    return list(found.values())


def networks(
    container: Container, find_network: Callable[[str], object]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The networks that were made for *container* and others; and the names of those gone."""
    mode = NetworkMode.parse(container.host.network_mode)
    names = set(container.networking.endpoints_config or ())
    names |= {mode.name} if mode.kind == "network" else set()
    found, gone = [], []
    for name in sorted(names - {"", "bridge", "default", "host", "none"}):
        try:
            found.append(msgspec.to_builtins(find_network(name)))
        except NotFound:
            gone.append(name)
    return found, gone


def left_out(container: Container, request: BackupRequest) -> list[str]:
    """What a backup of *container* does not hold, for people."""
    told = []
    for point in container.mounts:
        if point.kind == "bind" and not _is_wanted(point, request):
            told.append(f"bind {point.source} ({point.destination}): --include-bind takes it along")
        elif point.kind == "tmpfs":
            told.append(f"tmpfs {point.destination}")
    return told


def _is_wanted(point: MountPoint, request: BackupRequest) -> bool:
    wanted = any(point.source == path.rstrip("/") for path in request.binds)
    return wanted and Path(point.source).is_dir()


def _has(container: Container, labels: Sequence[str]) -> bool:
    own = container.config.labels or {}
    for label in labels:
        key, equals, value = label.partition("=")
        if key not in own or (equals and own[key] != value):
            return False
    return True
