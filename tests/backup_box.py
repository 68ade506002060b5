"""Trees, packs and targets for tests of backups, without any engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.backup import tree
from lading.backup.bill import Bill, Blob, CargoContainer, CargoImage
from lading.backup.capture import Before, Captured, PartCapture
from lading.backup.cargo import conclude, stow
from lading.backup.contents import Contents
from lading.backup.depot import Depot, open_depot
from lading.backup.laying import lay
from lading.backup.locations import Location
from lading.backup.looking import everything, excluding
from lading.backup.packing import Packing
from lading.backup.place import add_bytes
from lading.backup.slots import Secret
from lading.container.options import Config, HostConfig, NetworkingConfig
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.manifest import Manifest
from lading.volume.values import MountPoint

PHRASE = Secret.passphrase(b"open sesame\n")
CREATED = 1_790_000_000_123_000_000
ID = "ab" * 32


def depot(folder: Path, secret: Secret | None = None) -> Depot:
    """A target in *folder*, made if need be."""
    return open_depot(Location.parse(str(folder)), secret, make=True)


def capture(
    place: Depot,
    top: Path,
    before: Captured | None = None,
    *,
    exclude: Sequence[str] = (),
    looks: int = 2,
) -> tuple[Captured, int]:
    """A directory captured into packs at *place*, and the bytes that were added."""
    is_excluded = excluding(exclude)
    known = place.chunks_of(before.packs) if before else {}
    earlier = before_of(before) if before else None
    with Packing(place.place, place.keys, lambda: known) as packing:
        part = PartCapture(top, lambda fd: everything(fd, is_excluded), packing, earlier)
        for _ in range(looks):
            part.look()
        packing.finish()
        return part.finish(), packing.added


def before_of(captured: Captured) -> Before:
    packs = {pack.digest: pack for pack in captured.packs}
    return Before.of(tree.decode(captured.encoded()), packs)


def lay_out(place: Depot, captured: Captured, top: Path) -> None:
    """What was captured, made again."""
    found = tree.decode(captured.encoded())
    with Contents(place, {pack.digest: pack for pack in captured.packs}) as contents:
        lay(found, contents, top)


def fill(top: Path) -> None:
    """Files of every kind that needs no root."""
    (top / "folder").mkdir()
    (top / "folder" / "text").write_text("some words\n" * 1000)
    (top / "folder" / "empty").touch()
    (top / "large").write_bytes(os.urandom(3 * 1024 * 1024))
    os.link(top / "large", top / "folder" / "same")
    (top / "link").symlink_to("/etc/passwd")
    os.mkfifo(top / "fifo", 0o640)
    with (top / "sparse").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
        file.seek(10 * 1024 * 1024)
        file.write(b"in the middle")
    (top / os.fsdecode(b"not \xff utf-8")).write_bytes(b"bytes")
    os.setxattr(top / "folder" / "text", "user.colour", b"blue\0")
    (top / "folder" / "text").chmod(0o604)
    os.utime(top / "folder" / "text", ns=(1, 1_234_567_890_123_456_789))
    os.utime(top / "folder", ns=(1, -987_654_321))


def image(place: Depot) -> CargoImage:
    """A small image; its blobs are at the target where that is plain."""
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    if place.is_sealed:
        from lading.oci.digest import Digest

        descriptor = Descriptor(mediatypes.OCI_CONFIG, Digest.of(config), len(config))
    else:
        descriptor = add_bytes(place.place, mediatypes.OCI_CONFIG, config)
    manifest = Manifest.of(descriptor, [])
    if not place.is_sealed:
        add_bytes(place.place, mediatypes.OCI_MANIFEST, manifest.raw)
    return CargoImage(
        id=str(descriptor.digest),
        reference="base",
        names=["base:latest"],
        descriptor=Blob.of(manifest.descriptor),
        manifest=manifest.raw,
        config=config,
    )


def container(name: str = "web", **changes: object) -> CargoContainer:
    fields: dict[str, object] = {
        "id": ID,
        "name": name,
        "created": CREATED,
        "config": Config(cmd=["sh"], image="base"),
        "host": HostConfig(network_mode="none"),
        "networking": NetworkingConfig(),
        "mounts": [MountPoint("volume", "/data", name="site", driver="local")],
    }
    return CargoContainer(**{**fields, **changes})  # type: ignore[arg-type]


def bill(
    place: Depot, parts: Mapping[tuple[str, str], Captured], *, created: int = CREATED,
    cargo: CargoContainer | None = None, ref: str = "",
) -> Bill:  # fmt: skip
    """A bill whose trees are at the target."""
    stowed = [stow(place, captured, None, kind=k, name=n) for (k, n), captured in parts.items()]
    packs = {pack.digest: Blob.of(pack) for each in stowed for pack in each.packs}
    cargo = cargo or container()
    return Bill(
        lading="0",
        ref=ref or f"{cargo.name}-{created}",
        group="0" * 32,
        created=created,
        hostname="here",
        consistency="pause",
        paused_ms=3,
        container=cargo,
        image=image(place),
        parts=[each.part for each in stowed],
        packs=list(packs.values()),
    )


def keep(place: Depot, made: Bill) -> Descriptor:
    """Conclude and name a backup."""
    descriptor = conclude(place, made)
    place.name({made.ref: descriptor})
    return descriptor


@dataclass(frozen=True)
class Box:
    """A target with one backup of one volume in it."""

    folder: Path
    data: Path
    depot: Depot
    captured: Captured
    bill: Bill

    def blob(self, digest: object) -> Path:
        return self.folder / "blobs" / "sha256" / str(digest).partition(":")[2]


def box(place: Path, secret: Secret | None = None) -> Box:
    """One backup of a volume with all kinds of files, and an empty writable layer."""
    data, empty, folder = place / "data", place / "empty", place / "target"
    data.mkdir()
    empty.mkdir()
    fill(data)
    target = depot(folder, secret)
    captured, _ = capture(target, data)
    layer, _ = capture(target, empty)
    made = bill(target, {("layer", ""): layer, ("volume", "site"): captured})
    keep(target, made)
    return Box(folder, data, target, captured, made)


@contextmanager
def flipped(path: Path, at: int = -20) -> Iterator[None]:
    """One bit of a file is wrong for a while."""
    content = bytearray(path.read_bytes())
    whole = bytes(content)
    content[at] ^= 1
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)
