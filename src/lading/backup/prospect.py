"""A container as it would be on a bill, before anything of it is read: for the question whether
it can be restored elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lading import __version__
from lading.backup import mediatypes as media
from lading.backup import sources
from lading.backup.bill import LAYER, Bill, Blob, Part
from lading.backup.cargo import cargo_of
from lading.backup.imagery import aboard
from lading.backup.origin import Origin
from lading.backup.sources import BackupRequest
from lading.container.record import Container
from lading.oci.platform import Platform

_NOTHING = Blob(media.TREE, "sha256:" + "0" * 64, 0)
_ROWS: Sequence[tuple[str, Sequence[str]]] = (
    ("architecture", ("the image",)),
    ("free space", ("not enough space",)),
    ("name", ("the name", "two backups")),
    ("volumes", ("a volume",)),
    ("ports", ("port ",)),
    ("networks", ("network ",)),
    ("privileges", ("needs --allow",)),
)


def bill(container: Container, origin: Origin) -> Bill:
    """The bill without content; ImageGone."""
    with origin.library.lease() as lease:
        image = aboard(container, origin.library, lease)
    mounted = sources.mounted(container, BackupRequest(), origin.volumes.get)
    parts = [_part(LAYER, "")]
    parts += [_part(each.kind, each.name, anonymous=each.anonymous) for each in mounted]
    return Bill(
        lading=__version__,
        ref="",
        group="",
        created=time.time_ns(),
        hostname="",
        consistency="live",
        paused_ms=0,
        container=cargo_of(container),
        image=image.cargo,
        parts=parts,
        packs=[],
        networks=sources.networks(container, origin.find_network)[0],
    )


def ports(container: Container) -> list[str]:
    """The ports of this host that it gives up when it stops, as ``80/tcp``."""
    if not container.running:
        return []
    found = []
    for port, bindings in (container.host.port_bindings or {}).items():
        protocol = port.partition("/")[2] or "tcp"
        found += [f"{each.host_port}/{protocol}" for each in bindings or () if each.host_port]
    return found


def size(container: Container, origin: Origin) -> int:
    """Bytes of its volumes."""
    names = {point.name for point in container.mounts if point.name}
    return sum(origin.volumes.size_of(name) or 0 for name in names)


def table(
    problems: Sequence[str], facts: Mapping[str, Any], wanted: int
) -> list[dict[str, str | bool]]:
    """What was looked at, a row each: what the other side says, and whether that will do."""
    told = {
        "architecture": f"{facts['architecture']}, here {Platform.of_host()}",
        "free space": f"{facts['free']} bytes, twice {wanted} wanted",
    }
    left, rows = list(problems), []
    for name, words in _ROWS:
        found = [each for each in left if any(word in each for word in words)]
        left = [each for each in left if each not in found]
        row: dict[str, str | bool] = {"check": name, "fine": not found}
        rows.append(row | {"found": "; ".join(found) or told.get(name, "")})
    kernel = f"{facts['kernel']}"
    rows.append({"check": "kernel, options", "fine": not left, "found": "; ".join(left) or kernel})
    return rows


def _part(kind: str, name: str, *, anonymous: bool = False) -> Part:
    return Part(
        kind=kind, name=name, tree=_NOTHING, plain="", entries=0, size=0, anonymous=anonymous
    )
