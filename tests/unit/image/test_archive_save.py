"""What is written into archives: everybody's documents, the blobs as they are, the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_box import (
    Box,
    Layout,
    config,
    docker_archive,
    large_layer,
    layer,
    sha256,
    tar_of,
)
from lading.errors import Invalid, NotFound
from lading.image import archive
from lading.image.errors import DamagedImage
from lading.oci.digest import Digest
from lading.store.blobs import DamagedBlob


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.close()


@pytest.fixture
def full(box: Box) -> Box:
    """Two images that share a layer: a:1, a:2 and b:1 from Docker, c:1 with a manifest."""
    first = docker_archive([large_layer(), layer("x")], ["a:1", "b:1"])
    second = docker_archive([large_layer()], ["a:2"])
    for members in (first, second):
        archive.load(box.library, io.BytesIO(tar_of(members)))
    layout = Layout()
    layout.root(layout.image([layer("c")]), "docker.io/library/c:1")
    archive.load(box.library, io.BytesIO(layout.tar))
    return box


def saved(box: Box, *names: str) -> bytes:
    out = io.BytesIO()
    archive.save(box.library, names, out)
    return out.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """Every file; a name that stands twice would be an error."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            assert member.name not in found
            file = tar.extractfile(member)
            found[member.name] = file.read() if file else b""
    return found


def rows(content: bytes) -> list[dict[str, Any]]:
    return list(json.loads(members(content)["manifest.json"]))


def test_every_blob_is_under_its_digest(full: Box) -> None:
    for name, content in members(saved(full, "a:1", "c:1")).items():
        if name.startswith("blobs/sha256/"):
            assert sha256(content) == f"sha256:{name.rpartition('/')[2]}"


def test_docker_and_oci_documents_name_the_same_blobs(full: Box) -> None:
    content = saved(full, "a:1", "c:1")
    kept = members(content)
    index = json.loads(kept["index.json"])
    for row, root in zip(rows(content), index["manifests"], strict=True):
        manifest = json.loads(kept["blobs/" + root["digest"].replace(":", "/")])
        paths = ["blobs/" + each["digest"].replace(":", "/") for each in manifest["layers"]]
        assert row["Layers"] == paths
        assert row["Config"] == "blobs/" + manifest["config"]["digest"].replace(":", "/")
    assert json.loads(kept["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_names_are_written_as_docker_writes_them(full: Box) -> None:
    content = saved(full, "a:1", "b:1")
    (row,) = rows(content)
    assert row["RepoTags"] == ["a:1", "b:1"]
    notes = [
        root["annotations"] for root in json.loads(members(content)["index.json"])["manifests"]
    ]
    assert notes[0] == {
        "io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert notes[1]["io.containerd.image.name"] == "docker.io/library/b:1"


def test_layers_shared_between_images_are_written_once(full: Box) -> None:
    content = saved(full, "a:1", "a:2")
    layers = [path for row in rows(content) for path in row["Layers"]]
    assert len(layers) == 3
    assert len(set(layers)) == 2
    assert members(content)  # which refuses doubles


def test_a_repository_means_all_of_its_tags(full: Box) -> None:
    assert sorted(tag for row in rows(saved(full, "a")) for tag in row["RepoTags"]) == [
        "a:1",
        "a:2",
    ]


def test_an_id_means_the_image_without_names(full: Box) -> None:
    image = full.library.resolve("a:1").id
    for word in (str(image), image.hex, image.short):
        assert [row["RepoTags"] for row in rows(saved(full, word))] == [None]


def test_a_name_by_digest_means_the_image_without_names(full: Box) -> None:
    image = full.library.resolve("c:1")
    assert [row["RepoTags"] for row in rows(saved(full, f"c@{image.manifest.digest}"))] == [None]


def test_asking_twice_writes_once(full: Box) -> None:
    image = full.library.resolve("a:1").id
    assert [row["RepoTags"] for row in rows(saved(full, "a:1", str(image), "a:1"))] == [["a:1"]]


def test_the_same_images_give_the_same_bytes(full: Box) -> None:
    assert saved(full, "a", "c:1") == saved(full, "a", "c:1")


@pytest.mark.parametrize("name", ["none:1", "none", "f" * 12, "sha256:" + "0" * 64])
def test_nothing_is_written_when_one_image_is_not_here(full: Box, name: str) -> None:
    out = io.BytesIO()
    with pytest.raises(NotFound):
        archive.save(full.library, ["a:1", name], out)
    assert out.getvalue() == b""


@pytest.mark.parametrize("name", ["Upper:1", "a:1:2", "../x", "", "a@sha256:1"])
def test_names_that_are_none_are_refused(full: Box, name: str) -> None:
    out = io.BytesIO()
    with pytest.raises(Invalid):
        archive.save(full.library, ["a:1", name], out)
    assert out.getvalue() == b""


def test_nothing_is_written_when_a_blob_is_missing(full: Box) -> None:
    layer = full.library.resolve("a:1").manifest.layers[-1].digest
    full.library.blobs.remove(layer)
    out = io.BytesIO()
    with pytest.raises(DamagedImage, match="is missing"):
        archive.save(full.library, ["a:1"], out)
    assert out.getvalue() == b""


def test_a_damaged_blob_breaks_the_archive_off(full: Box) -> None:
    path = full.library.blobs.path(full.library.resolve("c:1").manifest.layers[0].digest)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedBlob):
        saved(full, "c:1")


def test_saving_changes_nothing(full: Box) -> None:
    before = full.contents()
    saved(full, "a", "c:1")
    assert full.contents() == before


def test_an_image_survives_the_trip(full: Box, tmp_path: Path) -> None:
    other = Box(tmp_path / "other")
    content = saved(full, "a", "b:1", "c:1")
    loaded = archive.load(other.library, io.BytesIO(content))
    assert len(loaded) == 3
    for name in ("a:1", "a:2", "b:1", "c:1"):
        here, there = full.library.resolve(name), other.library.resolve(name)
        assert here.manifest.raw == there.manifest.raw
        assert here.id == there.id
    assert saved(other, "a", "b:1", "c:1") == content
    other.close()


def test_a_removed_image_comes_back_whole(full: Box) -> None:
    before = full.contents()
    content = saved(full, "c:1")
    full.library.remove("c:1")
    assert full.contents() != before
    archive.load(full.library, io.BytesIO(content))
    assert full.contents() == before


def test_an_image_with_a_long_digest_can_be_saved(box: Box) -> None:
    """sha512 names do not fit a plain header."""
    digest = "sha512:" + hashlib.sha512(layer()).hexdigest()
    tar = layer()
    layout = Layout()
    layout.members["blobs/" + digest.replace(":", "/")] = tar
    blob = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest}
    whole = layout.blob(config([tar]), "application/vnd.oci.image.config.v1+json")
    fields = {"config": whole, "layers": [{**blob, "size": len(tar)}]}
    root = layout.document("application/vnd.oci.image.manifest.v1+json", fields)
    archive.load(box.library, io.BytesIO(layout.root(root, "docker.io/library/l:1").tar))
    name = "blobs/" + digest.replace(":", "/")
    assert members(saved(box, "l:1"))[name] == tar
    assert box.library.blobs.has(Digest(digest))
