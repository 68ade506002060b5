"""A damaged image is noticed before a container reads it, and healed by loading it again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_daemon import Daemon
from image_box import CONFIG, MANIFEST, Layout, docker_archive, layer, sha256, tar_of
from lading.oci.digest import Digest
from lading.snapshot.choose import probe

Damage = Callable[[Path, Path], None]
IMAGE = "healing:1"
PAYLOAD = b"the bytes that count" * 20_000


@pytest.fixture(scope="module")
def host() -> Iterator[Daemon]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = Path(tempfile.mkdtemp(prefix="lading-"))
    if why := probe(directory / "probe")["erofs"]:
        pytest.skip(f"erofs: {why}")
    daemon = Daemon(directory, "--snapshotter", "erofs")
    daemon.start()
    daemon.load_busybox()
    yield daemon
    daemon.reset()
    left = daemon.leavings()
    shutil.rmtree(directory, ignore_errors=True)
    assert left == []


@pytest.fixture
def tars(host: Daemon) -> Iterator[list[bytes]]:
    """busybox, and a layer of one's own on it; nothing of the latter is left afterwards."""
    shown = host.client.get("/lading/v1/images/busybox:latest/json").json()
    base = Path(shown["Lading"]["Layers"][0]["Path"], "layer.tar").read_bytes()
    yield [base, layer("payload", PAYLOAD)]
    host.remove_containers()
    host.client.delete(f"/images/{IMAGE}", force=1)


def gzipped(tars: list[bytes]) -> bytes:
    layout = Layout()
    return layout.root(layout.image(tars), f"docker.io/library/{IMAGE}").tar


def bare(tars: list[bytes]) -> bytes:
    layout = Layout()
    image = layout.image(tars, compress=False)
    return layout.root(image, f"docker.io/library/{IMAGE}").tar


def of_old(tars: list[bytes]) -> bytes:
    return tar_of(docker_archive(tars, [IMAGE]))


FORMS = (gzipped, bare, of_old)


def flip(path: Path) -> None:
    at = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))


def flip_behind_its_time(path: Path) -> None:
    """As a disk does it."""
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Damage] = {
    "flipped tar": lambda home, blob: flip(home / "layer.tar"),
    "rotten tar": lambda home, blob: flip_behind_its_time(home / "layer.tar"),
    "short tar": lambda home, blob: cut(home / "layer.tar"),
    "flipped index": lambda home, blob: flip(home / "layer.erofs"),
    "short index": lambda home, blob: cut(home / "layer.erofs"),
    "no index": lambda home, blob: (home / "layer.erofs").unlink(),
    "no tar": lambda home, blob: (home / "layer.tar").unlink(),
    "no record": lambda home, blob: (home / "layer.json").unlink(),
    "no layer": lambda home, blob: shutil.rmtree(home),
    "rotten blob": lambda home, blob: flip_behind_its_time(blob),
    "short blob": lambda home, blob: cut(blob),
    "no blob": lambda home, blob: blob.unlink(),
    "nothing": lambda home, blob: (shutil.rmtree(home), blob.unlink())[1],
}


def load(host: Daemon, archive: bytes) -> None:
    answer = host.client.post("/images/load", body=archive)
    assert answer.status == 200, answer.body
    assert b"Loaded image: " in answer.body, answer.body


def places(host: Daemon, tar: bytes) -> tuple[Path, Path]:
    """Where the image's upper layer and its blob lie."""
    rows = host.client.get(f"/lading/v1/images/{IMAGE}/json").json()["Lading"]["Layers"]
    (row,) = (row for row in rows if row["DiffID"] == sha256(tar))
    algorithm, digits = row["Digest"].split(":")
    return Path(row["Path"]), host.settings.blobs / algorithm / digits[:2] / digits


def payload(host: Daemon) -> str | bytes:
    """What a new container reads, or why there is none."""
    asked = {"Image": IMAGE, "Cmd": ["sha256sum", "/payload"]}
    created = host.client.post("/containers/create", content=asked)
    if created.status != 201:
        return created.message
    container = created.json()["Id"]
    assert host.client.post(f"/containers/{container}/start").status == 204
    assert host.exit_code(container) == 0
    shown = bytes(host.output(container).body)
    host.client.delete(f"/containers/{container}", force=1)
    return shown


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("damage", DAMAGES)
def test_loading_again_heals(
    host: Daemon, tars: list[bytes], form: Callable[[list[bytes]], bytes], damage: str
) -> None:
    archive, expected = form(tars), sha256(PAYLOAD).removeprefix("sha256:").encode()
    load(host, archive)
    home, blob = places(host, tars[1])
    DAMAGES[damage](home, blob)
    if not damage.startswith("rotten"):  # which only reading every byte tells
        seen = payload(host)
        assert isinstance(seen, str) or expected in seen
        if isinstance(seen, str):
            assert "damaged" in seen
            assert "load or pull" in seen
    load(host, archive)
    healed = payload(host)
    assert isinstance(healed, bytes)
    assert expected in healed
    home, blob = places(host, tars[1])
    assert Digest.of((home / "layer.tar").read_bytes()).text == sha256(tars[1])
    assert Digest.of(blob.read_bytes()).hex == blob.name
    saved = host.client.get(f"/images/{IMAGE}/get")
    assert saved.status == 200
    assert b"manifest.json" in saved.body


@pytest.mark.parametrize("kind", [MANIFEST, CONFIG])
@pytest.mark.parametrize("how", [flip, cut, Path.unlink], ids=["flipped", "short", "gone"])
def test_documents_are_healed_too(
    host: Daemon, tars: list[bytes], kind: str, how: Callable[[Path], None]
) -> None:
    archive = gzipped(tars)
    load(host, archive)
    shown = host.client.get(f"/lading/v1/images/{IMAGE}/json").json()
    digest = shown["Lading"]["Manifest"] if kind == MANIFEST else shown["Id"]
    _, digits = digest.split(":")
    how(host.settings.blobs / "sha256" / digits[:2] / digits)
    host.kill()
    host.start()
    load(host, archive)
    assert isinstance(payload(host), bytes)


def test_a_container_that_runs_is_left_alone(host: Daemon, tars: list[bytes]) -> None:
    archive = of_old(tars)
    load(host, archive)
    asked = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
    container = host.client.post("/containers/create", content=asked).json()["Id"]
    assert host.client.post(f"/containers/{container}/start").status == 204
    home, _ = places(host, tars[1])
    flip(home / "layer.tar")
    load(host, archive)
    assert host.client.get(f"/containers/{container}/json").json()["State"]["Running"]
    assert isinstance(payload(host), bytes)
