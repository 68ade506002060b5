"""What the library promises of images, their names, and what goes when."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_box import Box, docker_archive, large_layer, layer, tar_of
from lading.errors import Invalid
from lading.image import archive
from lading.image.errors import AmbiguousImage, DamagedImage, ImageInUse, ImageNotFound
from lading.image.image import Image
from lading.image.removal import Deleted, Untagged, User
from lading.oci.digest import Digest
from lading.oci.reference import Reference


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.close()


def add(box: Box, *layers: bytes, tags: list[str] | None = None) -> Image:
    content = tar_of(docker_archive(layers or [layer()], tags or ["web:1"]))
    (loaded,) = archive.load(box.library, io.BytesIO(content))
    return box.library.image(loaded.image)


@pytest.mark.parametrize("text", ["web:1", "docker.io/library/web:1", "{id}", "{hex}", "{short}"])
def test_an_image_answers_to_its_names_and_ids(box: Box, text: str) -> None:
    image = add(box)
    words = {"id": image.id, "hex": image.id.hex, "short": image.id.short}
    assert box.library.resolve(text.format(**words)) == image
    assert box.library.resolve(f"web@{image.manifest.digest}") == image


def test_nobody_answers_to_another_name(box: Box) -> None:
    add(box)
    for text in ("web", "web:2", "f" * 64, "nobody"):
        with pytest.raises(ImageNotFound, match="No such image"):
            box.library.resolve(text)
    with pytest.raises(Invalid):
        box.library.resolve("Web:1")


def test_the_beginning_of_several_ids_names_none(box: Box) -> None:
    ids = [add(box, layer(str(n)), tags=[f"w:{n}"]).id.hex for n in range(17)]
    first = next(hex[0] for hex in ids if sum(other[0] == hex[0] for other in ids) > 1)
    with pytest.raises(AmbiguousImage):
        box.library.resolve(first)


def test_removing_one_of_two_names_keeps_the_image(box: Box) -> None:
    image = add(box)
    box.library.tag(image.id, Reference.parse("other:1"))
    assert box.library.remove("web:1") == [Untagged("web:1")]
    assert box.library.resolve("other:1") == image


def test_removing_the_last_name_frees_everything(box: Box) -> None:
    image = add(box, layer("a"), layer("b"))
    gone = box.library.remove("web:1")
    assert gone[:2] == [Untagged("web:1"), Deleted(image.id)]
    assert gone[2:] == [Deleted(chain) for chain in image.chain_ids[::-1]]
    assert box.contents() == set()


def test_layers_that_others_need_stay(box: Box) -> None:
    add(box, large_layer(), layer("a"), tags=["a:1"])
    other = add(box, large_layer(), layer("b"), tags=["b:1"])
    box.library.remove("a:1")
    assert box.library.mountable(other) == other.diff_ids
    assert set(box.snapshotter.layers()) == set(other.diff_ids)


def test_an_image_that_a_container_stands_on_stays(box: Box) -> None:
    image = add(box)
    running = [User("c" * 64, running=True)]
    with pytest.raises(ImageInUse, match="container cccccccccccc"):
        box.library.remove("web:1", users=lambda _: running)
    with pytest.raises(ImageInUse, match="cannot be forced"):
        box.library.remove(str(image.id), force=True, users=lambda _: running)
    assert box.library.resolve("web:1") == image


def test_prune_takes_what_has_no_name(box: Box) -> None:
    nameless = add(box, layer("old"))
    kept = add(box, layer("new"))  # takes the name
    gone, freed = box.library.prune({}, lambda _: ())
    assert Deleted(nameless.id) in gone
    assert freed >= len(layer("old"))
    assert [row.id for row in box.library.list()] == [kept.id]


def test_prune_leaves_what_gets_a_name_meanwhile(box: Box) -> None:
    images = [add(box, layer(text)) for text in ("first", "second", "named")][:2]

    def name_the_other(image: Digest) -> list[User]:
        for other in images:
            if other.id != image:
                box.library.tag(other.id, Reference.parse("kept:1"))
        return []

    gone, _ = box.library.prune({}, name_the_other)
    kept = box.library.resolve("kept:1")
    assert [Deleted(image.id) in gone for image in images] == [image != kept for image in images]


def test_the_list_tells_sizes_and_what_is_shared(box: Box) -> None:
    add(box, large_layer(), layer("a"), tags=["a:1"])
    add(box, large_layer(), tags=["b:1"])
    rows = {row.tags: row for row in box.library.list()}
    assert rows[("a:1",)].size == len(large_layer()) + len(layer("a"))
    assert rows[("a:1",)].shared == rows[("b:1",)].shared == len(large_layer())


def test_a_damaged_image_spoils_no_other_and_loading_mends_it(box: Box) -> None:
    bad, good = add(box, layer("bad"), tags=["bad:1"]), add(box, layer("good"), tags=["good:1"])
    box.library.blobs.remove(bad.manifest.layers[0].digest)
    box.snapshotter.remove(bad.diff_ids[0])
    damages = {row.id: bool(row.damage) for row in box.library.list()}
    assert damages == {bad.id: True, good.id: False}
    with pytest.raises(DamagedImage, match="load or pull it again"):
        box.library.mountable(bad)
    add(box, layer("bad"), tags=["bad:1"])
    assert box.library.mountable(bad) == bad.diff_ids
    assert not any(row.damage for row in box.library.list())


def test_a_snapshot_that_is_gone_is_made_again_from_its_blob(box: Box) -> None:
    image = add(box)
    box.snapshotter.remove(image.diff_ids[0])
    box.library.mountable(image)
    assert list(box.snapshotter.layers()) == list(image.diff_ids)


def test_a_start_frees_what_nobody_needs(box: Box) -> None:
    image = add(box)
    box.library.blobs.add(b"left by a crash")
    box.snapshotter.add(None, io.BytesIO(layer("left")))
    box.library.open()
    blobs = {image.id, image.manifest.digest, image.manifest.layers[0].digest}
    assert set(box.library.blobs.all()) == blobs
    assert set(box.snapshotter.layers()) == set(image.diff_ids)


def test_what_is_recorded_together_is_recorded_whole_or_not_at_all(box: Box) -> None:
    image = add(box)
    with pytest.raises(ImageNotFound), box.library.together():
        box.library.tag(image.id, Reference.parse("new:1"))
        box.library.tag(Digest.of(b"nobody"), Reference.parse("new:2"))
    assert [name.familiar for name in box.library.names(image.id)] == ["web:1"]


@pytest.mark.parametrize("name", ["web@sha256:" + "0" * 64, "sha256:1"])
def test_names_that_must_not_be_given_are_refused(box: Box, name: str) -> None:
    with pytest.raises(Invalid):
        box.library.tag(add(box).id, Reference.parse(name))
