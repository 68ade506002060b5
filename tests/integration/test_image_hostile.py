"""Hostile archives through load and import: refused or harmless, and the library unharmed."""

from __future__ import annotations

import io
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile import archives, corpus
from hostile.corpus import Case, Outcome
from image_box import Box, docker_archive, large_layer, layer, sha256, tar_of
from lading.errors import LadingError
from lading.image import archive, flat
from lading.snapshot.choose import DRIVERS, probe
from trees import shown

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices want root")

MOST_SECONDS = 5.0
LAYERS, ARCHIVES = list(corpus.cases()), list(archives.cases())


@pytest.fixture(scope="module", params=["erofs", "overlay", "copying"])
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A library with one image, on every driver that works here."""
    root = tmp_path_factory.mktemp("library")
    why = probe(root)[request.param]
    if why:
        pytest.skip(why)
    box = Box(root, DRIVERS[request.param])
    archive.load(box.library, io.BytesIO(tar_of(docker_archive([large_layer()], ["kept:1"]))))
    yield box
    box.close()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("not yours")
    return victim


def through(box: Box, victim: Path, content: bytes, door: str) -> bool:
    """Send *content* in; whether it was refused.  The library must be as it was, then or
    when what came has been removed."""
    before, outside, began = box.contents(), shown(victim), time.monotonic()
    try:
        if door == "import":
            images = [flat.import_tar(box.library, io.BytesIO(content)).id]
        else:
            images = [each.image for each in archive.load(box.library, io.BytesIO(content))]
    except LadingError as error:
        refused, images = True, []
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    else:
        refused = False
    assert time.monotonic() - began < MOST_SECONDS
    for image in images:
        box.library.remove(str(image), force=True)
    assert shown(victim) == outside
    assert box.contents() == before
    return refused


@pytest.mark.parametrize("case", ARCHIVES, ids=str)
def test_hostile_archives_harm_nothing(case: Case, box: Box, victim: Path) -> None:
    refused = through(box, victim, case.make(os.fsencode(victim)), "load")
    assert refused == (case.outcome is Outcome.REFUSED)


@pytest.mark.parametrize("door", ["load", "import"])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_hostile_layers_harm_nothing(case: Case, door: str, box: Box, victim: Path) -> None:
    tar = case.make(os.fsencode(victim))
    content = tar if door == "import" else tar_of(docker_archive([tar]))
    refused = through(box, victim, content, door)
    assert refused or case.outcome is Outcome.HARMLESS


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_hostile_tars_are_no_archives(case: Case, box: Box, victim: Path) -> None:
    """The same tars as the archive itself."""
    assert through(box, victim, case.make(os.fsencode(victim)), "load")


def test_the_library_is_still_whole(box: Box) -> None:
    """Everything above went through it."""
    image = box.library.resolve("kept:1")
    assert str(image.diff_ids[0]) == sha256(large_layer())
    assert [row.damage for row in box.library.list()] == [""]
    with box.library.layers.open(image.manifest.layers[0].digest) as stream:
        assert stream.read() == large_layer()
    assert archive.load(box.library, io.BytesIO(tar_of(docker_archive([layer()]))))


def test_memory_stays_small() -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 600 * 1024


def test_the_names_of_the_cases_are_unique() -> None:
    names = [str(case) for case in ARCHIVES]
    assert len(set(names)) == len(names)
