"""Archives between lading and the real skopeo and podman: each reads what the other writes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_box import Box, docker_archive, large_layer, layer, tar_of
from lading.image import archive
from lading.image.image import Image
from lading.layer.compression import compressor
from lading.oci.digest import Digest
from lading.oci.reference import Reference

NAME = "docker.io/library/web:1"
Tool = Callable[..., str]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "library")
    yield box
    box.close()


@pytest.fixture
def image(box: Box) -> Image:
    """An image of three layers, one of them twice, with two names."""
    layers = [large_layer(), layer("small"), large_layer()]
    archive.load(box.library, io.BytesIO(tar_of(docker_archive(layers, ["web:1", "other/web:2"]))))
    return box.library.resolve("web:1")


@pytest.fixture
def zstd_image(box: Box, tmp_path: Path) -> Image:
    """An image whose layers are kept compressed."""
    made = compressor("zstd")
    tar = large_layer()
    stored = made.compress(tar) + made.flush()
    content = tar_of(docker_archive([tar], ["packed:1"], stored=[stored]))
    archive.load(box.library, io.BytesIO(content))
    return box.library.resolve("packed:1")


@pytest.fixture
def skopeo(tmp_path: Path) -> Tool:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    return lambda *words: _run("skopeo", "--insecure-policy", "--tmpdir", str(tmp_path), *words)


@pytest.fixture
def podman() -> Iterator[Tool]:
    """Podman on a root of its own, whose path may not be long."""
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("needs podman, and root")
    with tempfile.TemporaryDirectory(prefix="lading-") as place:
        places = ("--root", f"{place}/root", "--runroot", f"{place}/run")
        options = (*places, "--storage-driver=vfs", "--events-backend=none")
        yield lambda *words: _run("podman", *options, *words)
        _run("podman", *options, "rmi", "--all", "--force")


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture
def saved(box: Box, tmp_path: Path) -> Callable[..., Path]:
    """Save the images of these names; the archive."""

    def save(*names: str) -> Path:
        path = tmp_path / "saved.tar"
        with path.open("wb") as out:
            archive.save(box.library, names, out)
        return path

    return save


def emptied(box: Box) -> Box:
    """The same library with nothing in it."""
    for row in box.library.list():
        box.library.remove(str(row.id), force=True)
    assert box.contents() == set()
    return box


def load(box: Box, path: Path) -> list[tuple[Digest, list[str]]]:
    with path.open("rb") as stream:
        loaded = archive.load(box.library, stream)
    return [(each.image, [name.familiar for name in each.names]) for each in loaded]


def same(found: Image, image: Image) -> bool:
    return found.id == image.id and found.diff_ids == image.diff_ids


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("target", ["docker-archive:{}", "oci-archive:{}", "oci:{}", "dir:{}"])
def test_skopeo_reads_what_is_saved(
    image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path, transport: str,
    target: str,
) -> None:  # fmt: skip
    path = saved("web:1")
    skopeo("copy", "-q", f"{transport}:{path}", target.format(tmp_path / "copied"))
    raw = json.loads(skopeo("inspect", "--raw", f"{transport}:{path}"))
    assert raw["config"]["digest"] == str(image.id)


def test_skopeo_sees_the_very_manifest(
    image: Image, saved: Callable[..., Path], skopeo: Tool
) -> None:
    found = json.loads(skopeo("inspect", f"oci-archive:{saved('web:1')}"))
    assert found["Digest"] == str(image.manifest.digest)


def test_skopeo_finds_an_image_by_name_among_several(
    box: Box, image: Image, zstd_image: Image, saved: Callable[..., Path], skopeo: Tool
) -> None:
    path = saved("web:1", "other/web:2", "packed:1")
    for name, wanted in (("web:1", image), ("other/web:2", image), ("packed:1", zstd_image)):
        raw = json.loads(skopeo("inspect", "--raw", f"docker-archive:{path}:{name}"))
        assert raw["config"]["digest"] == str(wanted.id)


def test_skopeo_reads_compressed_layers_of_docker_archives(
    zstd_image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    skopeo("copy", "-q", f"docker-archive:{saved('packed:1')}", f"docker-archive:{copied}:x:1")
    with tarfile.open(copied) as tar:
        kept = tar.extractfile(f"{zstd_image.diff_ids[0].hex}.tar")
        assert kept is not None
        assert kept.read() == large_layer()


def test_skopeo_reads_compressed_layers_of_oci_archives(
    zstd_image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    skopeo("copy", "-q", f"oci-archive:{saved('packed:1')}", f"oci:{layout}:x")
    kept = zstd_image.manifest.layers[0].digest
    assert Digest.of((layout / "blobs/sha256" / kept.hex).read_bytes()) == kept


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("docker-archive:{}:web:1", ["web:1"]),
        ("docker-archive:{}", []),
        ("oci-archive:{}:docker.io/library/web:1", ["web:1"]),
        ("oci-archive:{}:1", []),
        ("oci-archive:{}", []),
    ],
)
def test_what_skopeo_writes_is_loaded(
    box: Box, image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path, target: str,
    names: list[str],
) -> None:  # fmt: skip
    copied = tmp_path / "copied"
    # Between the two kinds skopeo writes the config anew.
    kind = "docker-archive" if target.startswith("docker") else "oci-archive"
    skopeo("copy", "-q", f"{kind}:{saved('web:1')}", target.format(copied))
    assert load(emptied(box), copied) == [(image.id, names)]
    assert same(box.library.image(image.id), image)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_an_oci_directory_of_skopeos_is_loaded(
    box: Box, image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path,
    compression: str,
) -> None:  # fmt: skip
    """As the command line sends it: members below a dot."""
    layout, packed = tmp_path / "layout", tmp_path / "layout.tar"
    form = ("--dest-compress", "--dest-compress-format", compression)
    skopeo("copy", "-q", *form, f"oci-archive:{saved('web:1')}", f"oci:{layout}:{NAME}")
    _run("tar", "-C", str(layout), "-cf", str(packed), ".")
    assert load(emptied(box), packed) == [(image.id, ["web:1"])]
    index = json.loads((layout / "index.json").read_bytes())
    assert str(box.library.image(image.id).manifest.digest) == index["manifests"][0]["digest"]


def test_podman_reads_what_is_saved(image: Image, saved: Callable[..., Path], podman: Tool) -> None:
    assert "docker.io/library/web:1" in podman("load", "-q", "-i", str(saved("web:1")))
    (found,) = json.loads(podman("image", "inspect", "web:1"))
    assert found["Id"] == image.id.hex
    assert found["RootFS"]["Layers"] == [str(diff_id) for diff_id in image.diff_ids]
    assert found["Digest"] == str(image.manifest.digest)


def test_podman_reads_several_names_and_images(
    box: Box, image: Image, saved: Callable[..., Path], podman: Tool
) -> None:
    content = tar_of(docker_archive([layer("third")], ["third:1"]))
    archive.load(box.library, io.BytesIO(content))
    podman("load", "-q", "-i", str(saved("web:1", "other/web:2", "third:1")))
    found = json.loads(podman("images", "--format", "json"))
    names = {name.partition("/")[2] for each in found for name in each["Names"]}
    assert names == {"web:1", "other/web:2", "third:1"}
    assert {each["Id"] for each in found} == {
        box.library.resolve(name).id.hex for name in ("web:1", "third:1")
    }


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_what_podman_writes_is_loaded(
    box: Box, image: Image, saved: Callable[..., Path], podman: Tool, tmp_path: Path, form: str
) -> None:
    written = tmp_path / "podman.tar"
    podman("load", "-q", "-i", str(saved("web:1")))
    podman("save", "-q", "--format", form, "-o", str(written), NAME)
    assert load(emptied(box), written) == [(image.id, ["web:1"])]
    assert same(box.library.image(image.id), image)


def test_several_images_that_podman_writes_are_loaded(
    box: Box, image: Image, saved: Callable[..., Path], podman: Tool, tmp_path: Path
) -> None:
    archive.load(box.library, io.BytesIO(tar_of(docker_archive([layer()], ["third:1"]))))
    written = tmp_path / "podman.tar"
    for name in ("web:1", "third:1"):
        podman("load", "-q", "-i", str(saved(name)))
    podman("save", "-q", "-m", "-o", str(written), NAME, "docker.io/library/third:1")
    names = [names for _, names in load(emptied(box), written)]
    assert sorted(names) == [["third:1"], ["web:1"]]


def test_the_trip_ends_where_it_began(
    box: Box, image: Image, saved: Callable[..., Path], skopeo: Tool, tmp_path: Path
) -> None:
    """Manifest and all, through skopeo's own archive and back."""
    copied = tmp_path / "copied"
    ends = (f"oci-archive:{saved('web:1')}", f"oci-archive:{copied}:{NAME}")
    skopeo("copy", "-q", "--preserve-digests", *ends)
    load(emptied(box), copied)
    found = box.library.resolve(str(Reference.parse("web:1")))
    assert found.manifest.raw == image.manifest.raw
